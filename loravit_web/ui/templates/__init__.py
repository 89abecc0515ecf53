"""HTML of the page: templates in this folder, each in the folder of its part of the page.

Templates escape every text except HTML from other templates. A missing value is an error. ``_`` and
``ngettext`` translate texts, as in Python.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from loravit_web.ui.language.texts import current_language, numeral, translated, translated_number
from loravit_web.ui.language.words import split_name, status_name

FOLDER = Path(__file__).parent


def render(name: str, **values: Any) -> Markup:
    """Return the HTML of a template.

    Args:
        name: Name of the template, such as ``use/answers``.
        values: Values of the template.
    """
    return Markup(environment().get_template(f"{name}.html").render(values))


def render_part(name: str, *values: Any, **named: Any) -> Markup:
    """Return the HTML of a macro in ``kit/parts``, which contains HTML that several templates share."""
    html: Markup = getattr(environment().get_template("kit/parts.html").module, name)(*values, **named)
    return html


@cache
def environment() -> Environment:
    """Return the environment of the templates, which loads a template on first use."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(count=numeral, number=numeral, percent=_percent, width=_width, minute=_minute)
    made.filters.update(split_name=split_name, status_name=status_name)
    made.globals.update(_=_text, ngettext=_number, language=current_language)
    return made


def _text(message: str, /, **values: object) -> Markup:
    """Return a text in the current language, as HTML. Values are escaped."""
    text = Markup(escape(translated(message)))
    return text.format(**values) if values else text


def _number(singular: str, plural: str, n: int, /, **values: object) -> Markup:
    """Return the form of a text for a number in the current language, as HTML. Values are escaped."""
    return Markup(escape(translated_number(singular, plural, n))).format(n=numeral(n), **values)


def _percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction as a percentage, such as ``12.3%``."""
    return numeral(fraction, f".{digits}%")


def _width(fraction: float) -> str:
    """Return a fraction, at most 1, as a width for a style."""
    return f"{min(max(fraction, 0), 1):.1%}"


def _minute(when: datetime) -> str:
    """Return a time as text, such as ``2026-11-29 18:05``."""
    return f"{when:%Y-%m-%d %H:%M}"
