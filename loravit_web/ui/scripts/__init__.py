"""The scripts of the page: files in this folder, each in the folder of the part that it belongs to.

The page loads all of them once, in its head. A script that offers functions adds an object with them to
``loravit``, and events of Gradio call them by name (`call`, `on_load`). Values from Python reach the scripts
as JSON only: as ``loravit.values`` when the page opens, and as the arguments of `call`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loravit_web.ui.templates import render

FOLDER = Path(__file__).parent


def source(name: str) -> str:
    """Return the text of a script, such as ``page/address``."""
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8")


def head(names: Iterable[str], values: Mapping[str, Any]) -> str:
    """Return the HTML that loads scripts in this order.

    Args:
        names: of the scripts, as for `source`.
        values: that the scripts read as ``loravit.values``; anything that JSON can hold.
    """
    return str(render("page/head", values=values, scripts=[source(name) for name in names]))


def call(function: str, *given: Any) -> str:
    """Return the JavaScript for an event that calls a function.

    Args:
        function: its script's object and its name, such as ``address.set``.
        given: arguments that come before those of the event; anything that JSON can hold.
    """
    if not given:
        return f"loravit.{function}"
    return f"(...inputs) => loravit.{function}({', '.join(map(json.dumps, given))}, ...inputs)"


def on_load(*functions: str) -> str:
    """Return the JavaScript for an HTML component that calls functions with its element and its trigger."""
    return "\n".join(f"loravit.{function}(element, trigger);" for function in functions)
