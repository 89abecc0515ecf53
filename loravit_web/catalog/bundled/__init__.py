"""Adapters that come with the app, so that it can be used before the first training.

Each is a bundle named after its slug, created for the embedded base by ``python -m benchmarks bundled``.
"""

from __future__ import annotations

from pathlib import Path


def bundles() -> dict[str, Path]:
    """Return the paths of the bundles by slug."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.zip"))}
