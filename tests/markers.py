"""Kinds of tests, by folder, fixture and database, so that ``pytest -m "not browser"`` leaves a kind out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
BY_PLACE: Mapping[str, Sequence[str]] = {
    "browser": ["browser"],
    "gpu": ["engine/test_cuda.py"],
    "postgres": ["worker/test_nodes.py", "worker/test_outage.py"],
    "slow": [
        "browser",
        "doctor/test_after_a_kill.py",
        "registry/test_several_processes.py",
        "worker/test_killed.py",
        "worker/test_nodes.py",
    ],
}
"""Folders and files below `tests/`, by marker."""
BY_FIXTURE: Mapping[str, Sequence[str]] = {
    "embedded": ["embedded_folder"],
    "postgres": ["postgres"],
    "slow": ["imports", "place"],
}
"""Fixtures that a test needs, itself or through others, by marker."""
BY_PARAMETER: Mapping[str, str] = {"postgres": "postgresql"}
"""A value among the parameters of a test, by marker."""


def kinds_of(place: str, fixtures: Sequence[str], parameters: Sequence[object]) -> set[str]:
    """Return the markers of a test.

    Args:
        place: Path of its file below `tests/`, with forward slashes.
        fixtures: Names of all fixtures that it needs.
        parameters: Values that it is parametrized with.
    """
    kinds = {
        kind
        for kind, places in BY_PLACE.items()
        if any(place == one or place.startswith(f"{one}/") for one in places)
    }
    kinds |= {kind for kind, names in BY_FIXTURE.items() if set(names) & set(fixtures)}
    return kinds | {kind for kind, value in BY_PARAMETER.items() if value in parameters}


def mark(items: Sequence[pytest.Item]) -> None:
    """Mark collected tests with their kinds."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        place = item.path.relative_to(TESTS).as_posix()
        parameters = [*item.callspec.params.values()] if hasattr(item, "callspec") else []
        for kind in sorted(kinds_of(place, item.fixturenames, parameters)):
            item.add_marker(kind)
