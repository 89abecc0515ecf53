"""The line above the tabs: what trains, from wherever the reader is one click away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import EACH, QUEUED
from loravit_web.ui.kit.markup import time_left
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.runs.watch import watch_updates
from loravit_web.ui.scripts import call, on_load
from loravit_web.ui.templates import render
from loravit_web.ui.train.tab import TrainTab
from registry import Run


def build_strip() -> gr.HTML:
    """Build the line; `strip_update` shows it where there is something to say."""
    return gr.HTML(visible=False, js_on_load=on_load("focus.keep", "strip.listen"), elem_id="job-strip")


def strip_update(active: Sequence[Run]) -> gr.HTML:
    """The update for what has not ended yet."""
    return gr.HTML(job_strip(active), visible=bool(active))


def connect_strip(service: Service, strip: gr.HTML, tabs: gr.Tabs, train: TrainTab) -> None:
    """A click on a run watches it."""

    @told
    def watch(event: gr.EventData, request: gr.Request) -> list[Any]:
        seen = seen_by(service, request)
        run = seen.registry.runs.get(str(event._data["run"]))
        return [gr.Tabs(selected="train"), run.id, *watch_updates(seen, run.id, fresh=True)]

    strip.click(watch, None, [tabs, train.run_id, *train.watch.outputs], **EACH, **QUEUED).success(
        None, None, None, js=call("strip.showProgress")
    )


def job_strip(active: Sequence[Run]) -> str:
    """What the line says."""
    if not active:
        return ""
    running = [run for run in active if run.status == "running"]
    waiting = len(active) - len(running)
    return render("page/strip", running=[(run, time_left(run)) for run in running], waiting=waiting)
