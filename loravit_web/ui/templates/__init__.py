"""The HTML of the page: Jinja2 templates in this folder, in a subfolder for each part of the page.

Templates escape every text except the output of other templates. A missing value is an error.
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
        values: Values of its variables.
    """
    return Markup(environment().get_template(f"{name}.html").render(values))


def render_part(name: str, *values: Any, **named: Any) -> Markup:
    """Return the HTML of a macro in ``kit/parts``, which has pieces that several templates share."""
    html: Markup = getattr(environment().get_template("kit/parts.html").module, name)(*values, **named)
    return html


@cache
def environment() -> Environment:
    """Return the environment of all templates. It reads a template when the template is first rendered."""
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
    """Format 1234 as ``1,234``."""
    return f"{number:,}"


def _percent(fraction: float, digits: int = 1) -> str:
    """Format 0.123 as ``12.3%``."""
    return f"{fraction:.{digits}%}"


def _minute(when: datetime) -> str:
    """Format a time as ``2026-11-29 18:05``."""
    return f"{when:%Y-%m-%d %H:%M}"


def _counted(number: int, noun: str) -> str:
    """Format a number with a noun, as ``1 image`` or ``2 images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
