"""What `pip install .` gives: the same requirements as the files, and every file that the code reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from loravit_web import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def lines_of(name: str) -> list[str]:
    """Return the requirements in a file, without comments."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_the_requirements_of_the_package_are_those_of_the_file() -> None:
    assert PROJECT["project"]["dependencies"] == lines_of("requirements.txt")


def test_every_requirement_has_a_lower_and_an_upper_bound() -> None:
    extras = [line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra]
    for line in [*PROJECT["project"]["dependencies"], *extras]:
        assert ">=" in line and "<" in line, line


def test_the_extra_for_postgresql_is_what_the_tests_use() -> None:
    assert set(PROJECT["project"]["optional-dependencies"]["postgres"]) <= set(
        lines_of("requirements-dev.txt")
    )


@pytest.mark.parametrize("package", ["loravit_web", "registry"])
def test_every_file_that_is_no_module_is_packaged(package: str) -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"][package]
    packaged = {path for pattern in patterns for path in (ROOT / package).glob(pattern)}
    others = {
        path
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }
    assert others and others <= packaged


def test_the_version_is_in_the_changelog() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
