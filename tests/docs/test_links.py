"""Links between the documents, and paths that they name, lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import DOCS, DOCUMENTS, README, ROOT, anchors_of, links_of, names_of, prose_of

ELSEWHERE = re.compile(r"https?://|mailto:|\?")
PLACES = re.compile(
    r"(?:app\.py|Dockerfile|\.ci|requirements[\w-]*\.txt|pyproject\.toml"
    r"|(?:loravit_web|registry|tests|benchmarks|docs)/[\w./*-]*)"
)
WINGS = re.compile(r"(?:\w+/)+(?:\w+\.py)?")
"""Paths below `loravit_web/`, as the map of the code shortens them."""


def named_by(document: Path) -> list[str]:
    return names_of(prose_of(document))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for link in links_of(document):
        if ELSEWHERE.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leaves the repository"
        assert not anchor or anchor in anchors_of(target), f"{link} names no heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_of_the_repository_that_is_named_exists(document: Path) -> None:
    places = [name for name in named_by(document) if PLACES.fullmatch(name)]
    assert [place for place in places if not list(ROOT.glob(place.rstrip("/")))] == []


def test_every_path_in_the_map_of_the_code_exists() -> None:
    places = [name for name in named_by(DOCS / "architecture.md") if WINGS.fullmatch(name)]
    bases = (ROOT, ROOT / "loravit_web", ROOT / "registry")
    data = {"work/", "cache/", "bases/"}
    missing = {place for place in places if not any((base / place).exists() for base in bases)}
    assert missing <= data
    assert len(places) > 50


def test_the_readme_links_to_every_document() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links_of(README)}
    assert {path.resolve() for path in DOCUMENTS} - {README} <= linked
