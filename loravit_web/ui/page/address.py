"""State of the page in its address, so that a reload or a link shows the same."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from loravit_web.ui.kit.events import QUIET
from loravit_web.ui.scripts import call

HUB = "https://huggingface.co"
TABS = ("use", "train", "catalog", "runs")
OWNERS = {"task": ("use",), "step": ("train",), "run": ("runs", "train"), "adapter": ("catalog",)}
"""Tabs by the parameter that says what they show. The address has those of the open tab only."""
NARROW = 700
"""Width in pixels up to which list and card are separate screens; the same as in the style sheets."""
VALUES = {"hub": HUB, "tabs": TABS, "owners": OWNERS, "narrowPixels": NARROW}
"""Values for the script."""


def name_tabs(tabs: Mapping[str, gr.Tab]) -> None:
    """Keep the open tab in the address, except the first tab, which is the default."""
    first = next(iter(tabs))
    for name, tab in tabs.items():
        shown = "" if name == first else name
        tab.select(None, None, None, js=call("address.set", "tab", shown), **QUIET)
