"""State of the page in its address, so that a reload or a link shows the same."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from loravit_web.ui.kit.events import QUIET
from loravit_web.ui.scripts import call

HUB = "https://huggingface.co"


def name_tabs(tabs: Mapping[str, gr.Tab]) -> None:
    """Keep the open tab in the address, except the first tab, which is the default."""
    first = next(iter(tabs))
    for name, tab in tabs.items():
        shown = "" if name == first else name
        tab.select(None, None, None, js=call("address.set", "tab", shown), **QUIET)
