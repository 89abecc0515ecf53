"""Detection of changes of the registry: a page requests a short text, and more only if the text changed.

A script of the page sends these requests, only while the page is visible and online: if a request of Gradio's
own timer fails, Gradio reloads the page, and what was typed is lost. That timer also runs in hidden tabs, and
an event with all components as outputs is slow in the browser even if nothing changed.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import gradio as gr

from loravit_web.service import Service
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.page.follow import snapshot

LOOK_MILLISECONDS, EVERY_SO_MANY = 2000, 15
"""Milliseconds between two requests, and number of requests after which rare changes are requested too."""
SELDOM = "look-seldom"
"""Element ID of a button that the script clicks to request rare changes."""
VALUES = {"milliseconds": LOOK_MILLISECONDS, "seldomEvery": EVERY_SO_MANY, "seldomButton": SELDOM}
"""Values for the script."""


def add_pulse(service: Service, seen: gr.State) -> gr.Textbox:
    """Add a text that changes when the registry changed since ``seen``; listen to its event ``change``.

    Call this outside the tabs, so that the text exists whichever tab is open.

    Args:
        service: Service with the registry.
        seen: State of the registry that the page shows, from `follow.remembered`.
    """
    pulse = gr.Textbox(visible="hidden", elem_id="pulse")
    look = gr.Button(visible="hidden", elem_id="look")

    def beat(known: dict[str, Any] | None, request: gr.Request) -> Any:
        same = known is not None and known["key"] == snapshot(seen_by(service, request))["key"]
        return gr.skip() if same else uuid4().hex  # changes again until the page is up to date

    look.click(beat, seen, pulse, show_progress="hidden", queue=False, api_visibility="private")
    return pulse
