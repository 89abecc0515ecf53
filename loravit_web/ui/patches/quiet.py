"""Unnecessary work of Gradio: positions of hidden progress bars, polls of an empty queue, statistics."""

from __future__ import annotations

import sys

import gradio as gr

QUEUE_SECONDS = 0.01
"""Seconds between two polls of Gradio's queue. Its default of 1 ms uses a tenth of a core at all times."""


def place_hidden_progress(demo: gr.Blocks, nowhere: gr.Textbox) -> None:
    """Give events with hidden progress a single place for it, which is never drawn.

    At each step of an event, the browser looks up the places of progress of all earlier events in the tree of
    components. By default these are all outputs, and the search takes half of the time of an event.

    Args:
        demo: Page with all its events.
        nowhere: Component that is never drawn.
    """
    for event in demo.fns.values():
        if event.show_progress == "hidden":
            event.show_progress_on = [nowhere]


def calm_queue(demo: gr.Blocks) -> None:
    """Poll the queue of a built page less often, and switch off its statistics."""
    queue = demo._queue
    queue.sleep_when_free = QUEUE_SECONDS
    # At every event Gradio computes a table of the last 10,000 events for its monitoring page, which is off.
    queue.ANALYTICS_MAX_EVENTS = 1
    queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize  # Gradio's spelling
