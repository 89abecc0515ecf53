"""What the page shows, named in its address: loaded anew it shows the same, and it is a link to that."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from loravit_web.ui.kit.events import QUIET
from loravit_web.ui.scripts import call

HUB = "https://huggingface.co"


def name_tabs(tabs: Mapping[str, gr.Tab]) -> None:
    """Let the address name the open tab, unless it is the first, which opens by itself."""
    first = next(iter(tabs))
    for name, tab in tabs.items():
        shown = "" if name == first else name
        tab.select(None, None, None, js=call("address.set", "tab", shown), **QUIET)
