"""The map in architecture.md lists every package and module that stands at the top."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.docs.markdown import DOCS, ROOT, names_of, rows_of, sections_of

MAP = sections_of(DOCS / "architecture.md", 2)["The map"]
ROWS = rows_of(MAP)
SPLIT = next(number for number, row in enumerate(ROWS) if "`registry.py`" in row[0])
TABLES = {"loravit_web": ROWS[:SPLIT], "registry": ROWS[SPLIT:]}


def parts_of(package: Path) -> set[str]:
    """Return folders with a slash at their end, and modules."""
    folders = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    return folders | modules


@pytest.mark.parametrize("package", sorted(TABLES))
def test_the_map_lists_exactly_the_parts_of_a_package(package: str) -> None:
    listed = Counter(name for row in TABLES[package] for name in names_of(row[0]))
    assert set(listed) == parts_of(ROOT / package)
    assert max(listed.values()) == 1
