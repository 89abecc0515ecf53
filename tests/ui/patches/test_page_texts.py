"""The texts of a page in another language are built once, and read until the page or its sources change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loravit_web.ui.patches.page_texts import PageTexts, kept_texts

ENGLISH = PageTexts("en", [{"label": "Use"}, {}], ["() => 1", None], "<meta>")
GERMAN = PageTexts("de", [{"label": "Anwenden"}, {}], ["() => 1", None], "<meta>")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "ui").mkdir()
    (tmp_path / "ui" / "de.po").write_text("Anwenden", encoding="utf-8")
    return tmp_path / "ui"


def built(times: int) -> Callable[[], PageTexts]:
    """Return a function that builds the texts so many times, and then fails."""
    left = [GERMAN] * times
    return lambda: left.pop()


def test_the_texts_are_built_once(tmp_path: Path, sources: Path) -> None:
    build = built(1)
    assert [kept_texts(tmp_path / "cache" / "t.json", ENGLISH, sources, build) for _ in range(3)] == [
        GERMAN
    ] * 3


def test_they_are_built_again_after_a_change_of_the_page_or_of_its_sources(
    tmp_path: Path, sources: Path
) -> None:
    path, build = tmp_path / "t.json", built(3)
    kept_texts(path, ENGLISH, sources, build)
    kept_texts(path, PageTexts("en", [{"label": "Apply"}, {}], ENGLISH.events, "<meta>"), sources, build)
    (sources / "de.po").write_text("Benutzen", encoding="utf-8")
    kept_texts(path, ENGLISH, sources, build)
    with pytest.raises(IndexError):
        build()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"identity": 1, "texts": {"language": "de"}}'])
def test_a_damaged_file_is_written_anew(content: str, tmp_path: Path, sources: Path) -> None:
    path, build = tmp_path / "t.json", built(1)
    path.write_text(content, encoding="utf-8")
    assert [kept_texts(path, ENGLISH, sources, build) for _ in range(2)] == [GERMAN] * 2


def test_a_file_that_cannot_be_written_is_told(
    tmp_path: Path, sources: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert kept_texts(tmp_path / "file" / "t.json", ENGLISH, sources, built(1)) == GERMAN
    assert "The next start builds the page again." in caplog.text
