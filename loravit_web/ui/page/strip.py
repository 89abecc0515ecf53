"""Line above the tabs with the running trainings, each of which is one click away."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from loravit_web.ui.kit.markup import time_left
from loravit_web.ui.scripts import on_load
from loravit_web.ui.templates import render
from registry import Run


def build_strip() -> gr.HTML:
    """Build the line, which is hidden until there is an active run."""
    return gr.HTML(visible=False, js_on_load=on_load("focus.keep", "strip.listen"), elem_id="job-strip")


def strip_update(active: Sequence[Run]) -> gr.HTML:
    """Return the update of the line for the active runs."""
    return gr.HTML(job_strip(active), visible=bool(active))


def job_strip(active: Sequence[Run]) -> str:
    """Return the HTML of the line; empty without active runs."""
    if not active:
        return ""
    running = [run for run in active if run.status == "running"]
    waiting = len(active) - len(running)
    return render("page/strip", running=[(run, time_left(run)) for run in running], waiting=waiting)
