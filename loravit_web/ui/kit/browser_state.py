"""Values that the browser keeps, so that they survive a reload."""

from __future__ import annotations

from typing import Any

import gradio as gr

# Not a secret. It is fixed so that values survive a restart of the app.
_SECRET = "preferences"


def kept_in_browser(name: str, nothing: Any = None) -> gr.BrowserState:
    """Create a value that the browser keeps.

    None never replaces a kept value, because Gradio writes only values that are truthy in JavaScript, such as
    ``{}``.

    The caller renders the component outside the tabs, because the browser reads the value when the component
    is drawn, and components of a tab are drawn when the tab is first opened.

    Args:
        name: Name under which the browser keeps the value.
        nothing: Value until one is kept.
    """
    return gr.BrowserState(nothing, storage_key=f"loravit-{name}", secret=_SECRET, render=False)
