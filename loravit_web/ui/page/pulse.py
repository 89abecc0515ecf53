"""How a page follows the registry: it asks for one short text, and only when that changed for more.

A look costs one small request, made by the page's own script and only while somebody can see the page and
there is a network: where one request fails, Gradio loads the whole page anew, and what was typed is gone.
Gradio's timer would also run in hidden tabs, and an event of the whole page costs its browser a lot even
where nothing changed.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import gradio as gr

from loravit_web.service import Service
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.page.follow import snapshot

LOOK_MILLISECONDS, EVERY_SO_MANY = 2000, 15
"""A look at the registry, and after how many of them one at what changes seldom."""
SELDOM = "look-seldom"
"""The id of a button for that; hear it by ``click``."""
VALUES = {"milliseconds": LOOK_MILLISECONDS, "seldomEvery": EVERY_SO_MANY, "seldomButton": SELDOM}
"""For the script that looks."""


def add_pulse(service: Service, seen: gr.State) -> gr.Textbox:
    """Add the text that changes when the registry is no longer as ``seen``; hear it by ``change``.

    To be called outside of the tabs, so that it is there whichever is open.

    Args:
        seen: as `follow.remembered`; whoever fills the page keeps it.
    """
    pulse = gr.Textbox(visible="hidden", elem_id="pulse")
    look = gr.Button(visible="hidden", elem_id="look")

    def beat(known: dict[str, Any] | None, request: gr.Request) -> Any:
        same = known is not None and known["key"] == snapshot(seen_by(service, request))["key"]
        return gr.skip() if same else uuid4().hex  # heard again until the page has followed

    look.click(beat, seen, pulse, show_progress="hidden", queue=False, api_visibility="private")
    return pulse
