"""What events take and give, and how the page's own ones run.

While one is answered, Gradio's browser side drops the next of the same kind unless told otherwise: right for
a button that does something, wrong for what fast hands click through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

Data = Mapping[Any, Any]
"""Values by component, as a handler gets them whose inputs are a set."""
Updates = dict[Any, Any]
"""New values by component; a component that is not among them stays as it is."""
QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
"""For what takes no time worth showing and has nothing to say: Gradio shows no toast of it, nor an error."""
QUEUED: dict[str, Any] = {
    "show_progress": "hidden",
    "concurrency_limit": None,
    "api_visibility": "private",
}
"""For the same where it may be refused."""
LAST: dict[str, Any] = {"trigger_mode": "always_last"}
"""For what is chosen or turned: the last one counts. It forgets what `gr.EventData` tells."""
EACH: dict[str, Any] = {"trigger_mode": "multiple"}
"""For clicks that all count."""
IN_TURN: dict[str, Any] = {**EACH, "show_progress": "hidden", "api_visibility": "private"}
"""For those that change what the one before left: the queue runs one of a kind at a time, as they come."""
UNCHECKED: dict[str, Any] = {"preprocess": False}
"""For what is given values that Gradio's server knows nothing of, as choices of a list that changed since."""


def unchanged() -> Updates:
    """Updates of nothing. Gradio takes an empty mapping for a value."""
    updates: Updates = gr.skip()
    return updates
