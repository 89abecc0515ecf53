"""Types of values that events take and return, and options of the page's events.

While an event runs, Gradio's browser side drops further events of the same kind by default. That suits
buttons that change something, but not controls that are clicked in quick succession.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

Data = Mapping[Any, Any]
"""Values by component, as a handler receives them if its inputs are a set."""
Updates = dict[Any, Any]
"""New values by component; other components do not change."""
QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
"""Options of quick events without messages: without the queue, Gradio shows neither toasts nor errors."""
QUEUED: dict[str, Any] = {
    "show_progress": "hidden",
    "concurrency_limit": None,
    "api_visibility": "private",
}
"""Options of quick events that may be refused."""
LAST: dict[str, Any] = {"trigger_mode": "always_last"}
"""Options of selections, of which only the last counts. `gr.EventData` is lost."""
EACH: dict[str, Any] = {"trigger_mode": "multiple"}
"""Options of clicks that all count."""
IN_TURN: dict[str, Any] = {**EACH, "show_progress": "hidden", "api_visibility": "private"}
"""Options of events that build on the one before: the queue runs one of a kind at a time, in order."""
UNCHECKED: dict[str, Any] = {"preprocess": False}
"""Options of events whose values Gradio's server does not know, such as choices of a list that changed."""


def unchanged() -> Updates:
    """Return an update that changes no component. Gradio would take an empty mapping for a value."""
    updates: Updates = gr.skip()
    return updates
