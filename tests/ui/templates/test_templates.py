"""The templates: each compiles and is used, all escape, and no other file holds HTML."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from loravit_web import ui
from loravit_web.ui.templates import FOLDER, environment, render, render_part
from tests.ui.kit.test_markup import EVIL

UI = Path(ui.__file__).parent
NAMES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.html"))
ELEMENT = re.compile(r"(?<!\?P)</?[a-z][a-z0-9]*(\s[^<>]*)?>")


def texts(path: Path) -> Iterator[str]:
    """Every text in a Python file that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.value


@pytest.mark.parametrize("name", NAMES)
def test_each_template_compiles(name: str) -> None:
    environment().get_template(name)


def test_each_template_is_used() -> None:
    by_python = {
        f"{name}.html"
        for path in UI.rglob("*.py")
        for name in re.findall(r'\brender\(\s*"([\w/]+)"', path.read_text(encoding="utf-8"))
    }
    by_templates = {
        name
        for path in FOLDER.rglob("*.html")
        for name in re.findall(r'{% from "([\w/.]+)"', path.read_text(encoding="utf-8"))
    }
    assert by_python | by_templates == set(NAMES)


def test_html_is_written_in_templates_only() -> None:
    found = [(path.name, text) for path in UI.rglob("*.py") for text in texts(path) if ELEMENT.search(text)]
    assert found == []


def test_texts_are_escaped_and_what_another_template_rendered_is_not() -> None:
    assert render_part("strong", EVIL) == Markup("<strong>{}</strong>").format(EVIL)
    assert render_part("strong", render_part("strong", "a")) == "<strong><strong>a</strong></strong>"


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="label"):
        render("use/heat", map="", request="", title="", found=True)
