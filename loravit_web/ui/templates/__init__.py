"""HTML of the page: templates in this folder, each in the folder of its part of the page.

Templates escape every text except HTML from other templates. A missing value is an error.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

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
    made.filters.update(count=_count, percent=_percent, minute=_minute, counted=_counted)
    return made


def _count(number: int) -> str:
    """Return a number as text, such as ``1,234``."""
    return f"{number:,}"


def _percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction as a percentage, such as ``12.3%``."""
    return f"{fraction:.{digits}%}"


def _minute(when: datetime) -> str:
    """Return a time as text, such as ``2026-11-29 18:05``."""
    return f"{when:%Y-%m-%d %H:%M}"


def _counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 image`` or ``2 images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
