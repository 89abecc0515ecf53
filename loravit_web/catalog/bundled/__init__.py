"""Adapters that come with the app, so that it answers before anybody trained anything.

Each is a bundle named after its slug, made for the embedded base by ``python -m benchmarks bundled``.
"""

from __future__ import annotations

from pathlib import Path


def bundles() -> dict[str, Path]:
    """The bundle files by slug."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.zip"))}
