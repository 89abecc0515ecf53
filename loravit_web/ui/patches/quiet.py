"""Work that Gradio does for nobody: places of hidden progress, looks at an empty queue, statistics."""

from __future__ import annotations

import sys

import gradio as gr

QUEUE_SECONDS = 0.01
"""Between two looks at Gradio's queue; its own thousand a second take a tenth of a core, all day."""


def place_hidden_progress(demo: gr.Blocks, nowhere: gr.Textbox) -> None:
    """Give the events that show no progress one place not to show it: one that is never drawn.

    With every step of every event the browser looks up each place of each event that ever ran, one by one in
    the tree of all components: with Gradio's default, all outputs, half of the time of an event.
    """
    for event in demo.fns.values():
        if event.show_progress == "hidden":
            event.show_progress_on = [nowhere]


def calm_queue(demo: gr.Blocks) -> None:
    """Spare the queue of a built page the work that nobody asked for."""
    queue = demo._queue
    queue.sleep_when_free = QUEUE_SECONDS
    # For a monitoring page, which is off here, it computes a table of its last 10,000 events at every event.
    queue.ANALYTICS_MAX_EVENTS = 1
    queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize  # spelled so there
