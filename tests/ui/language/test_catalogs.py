"""The catalogs: they translate exactly the texts of the page, and every text of the page is marked."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from loravit_web.ui.language.texts import ENGLISH, FOLDER, LANGUAGES
from loravit_web.ui.templates import FOLDER as TEMPLATES
from tests.docs.markdown import ROOT

UI = FOLDER.parent
OTHERS = sorted(LANGUAGES.keys() - {ENGLISH})
KEYWORDS = {**DEFAULT_KEYWORDS, "gettext_noop": None}
UNMARKED_ROOMS = {"gate", "patches"}
"""Folders of ``ui/`` whose texts are English, because programs read them too."""
SHOWN_ARGUMENTS = {"label", "info", "placeholder", "title"}
SHOWS_ITS_FIRST = {"Accordion", "Button", "DownloadButton", "Success", "Tab", "UploadButton", "Warning"}
SHOWS_ITS_FIRST |= {"heading", "line", "notice"}
WORDS = re.compile(r"[A-Za-z]{2,}")
NAMES = re.compile(r"LoRA-ViT Web|owner/name|flowers\.zip|daisy/|rose/|\d\.jpg")
"""What is the same in every language."""
MARKUP = re.compile(
    r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<script>.*?</script>|<style>.*?</style>|<code>.*?</code>|<[^>]*>",
    re.DOTALL,
)
ATTRIBUTE = re.compile(r'\s(?:aria-label|alt|title|placeholder|data-label)="([^"{]*)"')


@cache
def extracted() -> frozenset[str | tuple[str, ...]]:
    """Every text that is marked."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(str(ROOT), methods, options, KEYWORDS)
    return frozenset(message for _name, _line, message, _comments, _context in found)


@cache
def catalog_of(language: str) -> Catalog:
    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def messages(language: str) -> list[Message]:
    return [message for message in catalog_of(language) if message.id]


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return text if isinstance(text, tuple) else (text,)


def placeholders(text: str) -> set[str | None]:
    return {name for _text, name, _format, _conversion in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalog_has_exactly_the_texts_of_the_page(language: str) -> None:
    known = {message.id for message in messages(language)}
    assert (extracted() - known, known - extracted()) == (set(), set())
    assert not catalog_of(language).obsolete


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_untranslated_or_uncertain(language: str) -> None:
    for message in messages(language):
        assert all(forms(message.string)) and not message.fuzzy, message.id
        n_forms = catalog_of(language).num_plurals if isinstance(message.id, tuple) else 1
        assert len(forms(message.string)) == n_forms, message.id


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_placeholders_of_its_text(language: str) -> None:
    for message in messages(language):
        english, translated = forms(message.id), forms(message.string)
        for index, text in enumerate(translated):  # all forms but the first are for other numbers than 1
            assert placeholders(text) == placeholders(english[min(index, len(english) - 1)]), message.id


def unmarked(path: Path) -> Iterator[str]:
    """Literal texts in arguments that the page shows."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        shown = [keyword.value for keyword in node.keywords if keyword.arg in SHOWN_ARGUMENTS]
        shown += node.args[:1] if name in SHOWS_ITS_FIRST else []
        for one in shown:
            parts = one.values if isinstance(one, ast.JoinedStr) else [one]
            text = "".join(str(part.value) for part in parts if isinstance(part, ast.Constant) and part.value)
            if WORDS.search(NAMES.sub("", text)):
                yield text


PYTHON = [path for path in UI.rglob("*.py") if path.relative_to(UI).parts[0] not in UNMARKED_ROOMS]


@pytest.mark.parametrize("path", sorted(PYTHON), ids=lambda one: one.relative_to(UI).as_posix())
def test_each_text_in_python_is_marked(path: Path) -> None:
    assert list(unmarked(path)) == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda one: one.name)
def test_each_text_in_a_template_is_marked(path: Path) -> None:
    template = path.read_text(encoding="utf-8")
    texts = [*MARKUP.split(template), *ATTRIBUTE.findall(template)]
    assert [text for text in texts if WORDS.search(NAMES.sub("", text.replace("&nbsp;", "")))] == []


def test_an_unmarked_text_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('gr.Button("Start"); gr.Text(label=f"Class {n}"); gr.Text(label=_("Marked"))', "utf-8")
    assert list(unmarked(module)) == ["Start", "Class "]
