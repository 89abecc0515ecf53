"""Scripts of the page: files in this folder, each in the folder of its part of the page.

The page loads all of them once, in its head. A script that provides functions adds an object with them to
``loravit``, and events of Gradio call them by name (`call`, `on_load`). Scripts receive values from Python
only as JSON: as ``loravit.values`` when the page opens, and as the arguments of `call`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loravit_web.ui.templates import render

FOLDER = Path(__file__).parent


def source(name: str) -> str:
    """Return the text of a script, such as ``page/address``, without indentation and lines of comments.

    They are a quarter of the text that each first visit would load. No string of a script spans lines.
    """
    lines = map(str.strip, (FOLDER / f"{name}.js").read_text(encoding="utf-8").splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))


def head(names: Iterable[str], values: Mapping[str, Any]) -> str:
    """Return the HTML that loads scripts in this order.

    Args:
        names: Names of the scripts, as for `source`.
        values: Values that the scripts read as ``loravit.values``; any JSON values.
    """
    return str(render("page/head", values=values, scripts=[source(name) for name in names]))


def call(function: str, *given: Any) -> str:
    """Return the JavaScript for an event that calls a function.

    Args:
        function: Object of the script and name of the function, such as ``address.set``.
        given: Arguments before those of the event; any JSON values.
    """
    if not given:
        return f"loravit.{function}"
    return f"(...inputs) => loravit.{function}({', '.join(map(json.dumps, given))}, ...inputs)"


def on_load(*functions: str) -> str:
    """Return the JavaScript for an HTML component that calls functions with its element and trigger."""
    return "\n".join(f"loravit.{function}(element, trigger);" for function in functions)
