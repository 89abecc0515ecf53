"""Gradio's sessions, without the copy of the whole page that each would keep."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder


class LightSessions(StateHolder):
    """Sessions that cost next to nothing, since every call over HTTP without a session of its own begins one.

    Gradio describes every component of the page anew for each session, which took it 44 ms and 0.7 MB with
    this page, and keeps that for ten thousand of them. Only deep links read it, which the app does not offer;
    what changes in a session is still noted.
    """

    def __init__(self, demo: gr.Blocks) -> None:
        super().__init__()
        self.set_blocks(demo)

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            # no component counts as one of the page, and so none is described
            no_page: Any = SimpleNamespace(default_config=self.blocks.default_config, blocks={})
            self.session_data[session_id] = SessionState(no_page)
        return super().__getitem__(session_id)
