"""The list of caches in architecture.md has the budgets of the code, and leaves none out."""

from __future__ import annotations

import ast
import functools
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from loravit_web.engine.multilora import ONE_TIME_FRACTION
from loravit_web.serving.image_cache import MAX_IMAGES
from loravit_web.settings.limits import Limits
from tests.docs.markdown import DOCS, ROOT, names_of, rows_of, sections_of

UNITS = {"KiB": 1, "MB": 10**6, "MiB": 2**20, "GiB": 2**30}
"""Bytes of a unit; a constant in KiB is compared with KiB."""
CACHES = rows_of(sections_of(DOCS / "architecture.md", 2)["Caches"])
WITH_CONSTANT = {names_of(row[3])[0]: row[2] for row in CACHES if names_of(row[3])}
KEEPERS = {"LRU", "CompressedAnswers"}
"""What keeps a bounded number of things in memory."""


def value_of(name: str) -> Any:
    """Return the value of a dotted name: a module, a constant in it, and perhaps an attribute."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, parts[length:], module)
    raise AssertionError(f"There is no {name}.")


@pytest.mark.parametrize("constant", sorted(WITH_CONSTANT))
def test_a_budget_is_that_of_the_code(constant: str) -> None:
    found = re.match(r"([\d,]+) (\w+)", WITH_CONSTANT[constant])
    assert found, WITH_CONSTANT[constant]
    assert int(found[1].replace(",", "")) * UNITS.get(found[2], 1) == value_of(constant)


def test_what_is_said_of_a_part_of_a_budget_is_so() -> None:
    assert ONE_TIME_FRACTION == 4  # "a quarter of it"
    assert f"at most {MAX_IMAGES} images" in WITH_CONSTANT["loravit_web.serving.image_cache.BUDGET"]
    (uploads,) = [budget for _what, _by, budget, _constant in CACHES if "LORAVIT_MAX_UPLOADS_MIB" in budget]
    assert uploads.startswith(f"{Limits().uploads_mib} MiB")


def test_no_cache_of_the_code_is_left_out() -> None:
    keeping = {module_of(path) for path in sorted((ROOT / "loravit_web").rglob("*.py")) if keeps(path)}
    listed = {constant.rpartition(".")[0] for constant in WITH_CONSTANT}
    assert keeping <= listed
    assert len(keeping) >= 5


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def keeps(path: Path) -> bool:
    """Whether a module makes something that keeps things."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.Call) and getattr(node.func, "id", "") in KEEPERS for node in nodes)
