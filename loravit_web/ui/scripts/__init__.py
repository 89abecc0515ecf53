"""The scripts of the page: files in this folder, in a subfolder for each part of the page.

The page loads all scripts once, in its head. A script with functions for others adds an object with them to
``loravit``, and Gradio's events call them by name (`call`, `on_load`). Values from Python reach the scripts
only as JSON: as ``loravit.values`` when the page opens, and as arguments of `call`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loravit_web.ui.templates import render

FOLDER = Path(__file__).parent


def source(name: str) -> str:
    """Return the source of a script, such as ``page/address``."""
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8")


def head(names: Iterable[str], values: Mapping[str, Any]) -> str:
    """Return the HTML that loads scripts in order.

    Args:
        names: Names of the scripts, as for `source`.
        values: JSON values that the scripts read as ``loravit.values``.
    """
    return str(render("page/head", values=values, scripts=[source(name) for name in names]))


def call(function: str, *given: Any) -> str:
    """Return the JavaScript of an event that calls a function.

    Args:
        function: Object and name of the function, such as ``address.set``.
        given: JSON values to pass before the arguments of the event.
    """
    if not given:
        return f"loravit.{function}"
    return f"(...inputs) => loravit.{function}({', '.join(map(json.dumps, given))}, ...inputs)"


def on_load(*functions: str) -> str:
    """Return the JavaScript of an HTML component that passes its element and its trigger to functions."""
    return "\n".join(f"loravit.{function}(element, trigger);" for function in functions)
