"""What a page keeps in its reader's browser, so that it is there after a reload."""

from __future__ import annotations

from typing import Any

import gradio as gr

# It is no secret; a fixed one lets it outlive a restart of the app.
_SECRET = "preferences"


def kept_in_browser(name: str, nothing: Any = None) -> gr.BrowserState:
    """A value that the browser keeps under this name; ``nothing`` until there is one.

    None never takes the place of what is kept: Gradio writes only what JavaScript takes for true, as ``{}``.

    The caller renders it outside of the tabs: Gradio's browser side reads it when it is drawn, and what is in
    a tab is drawn when that is opened first.
    """
    return gr.BrowserState(nothing, storage_key=f"loravit-{name}", secret=_SECRET, render=False)
