"""Watching a run: progress, curves and the buttons that end it; the page only reads the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import pandas as pd

from loravit_web.service import Service
from loravit_web.ui.errors import told
from loravit_web.ui.markup import notice, run_progress
from loravit_web.ui.visitors import actions_of
from registry import Run

MAX_POINTS = 500
"""Of each curve: more than a plot of this width can show."""
_LOSS = {"train_loss": "training", "val_loss": "validation"}


@dataclass(frozen=True)
class WatchPanel:
    """The components that follow a run, in the order that `watch_updates` fills them."""

    progress: gr.HTML
    loss: gr.LinePlot
    accuracy: gr.LinePlot
    keep: gr.Button
    cancel: gr.Button
    resume: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """All components."""
        return [self.progress, self.loss, self.accuracy, self.keep, self.cancel, self.resume]


def build_watch(service: Service, run_id: gr.State, *, prefix: str, empty: str) -> WatchPanel:
    """Build a panel that follows the run named by ``run_id``; ``empty`` is said until there is one."""
    progress = gr.HTML(notice(empty), elem_id=f"{prefix}-progress")
    with gr.Row():
        loss = _plot("Loss", f"{prefix}-loss")
        accuracy = _plot("Accuracy", f"{prefix}-accuracy", y_lim=[0, 1])
    with gr.Row():
        keep = gr.Button("Stop and keep the best", visible=False, elem_id=f"{prefix}-keep")
        cancel = gr.Button("Cancel", variant="stop", visible=False, elem_id=f"{prefix}-cancel")
        resume = gr.Button("Resume", variant="primary", visible=False, elem_id=f"{prefix}-resume")
    panel = WatchPanel(progress, loss, accuracy, keep, cancel, resume)

    @told
    def stop_and_keep(run: str, request: gr.Request) -> list[Any]:
        actions_of(service, request).stop(run, keep=True)
        return watch_updates(service, run)

    @told
    def stop_without(run: str, request: gr.Request) -> list[Any]:
        actions_of(service, request).stop(run, keep=False)
        return watch_updates(service, run)

    @told
    def go_on(run: str, request: gr.Request) -> list[Any]:
        actions_of(service, request).resume(run)
        return watch_updates(service, run)

    for button, handler in ((keep, stop_and_keep), (cancel, stop_without), (resume, go_on)):
        button.click(
            handler, run_id, panel.outputs, queue=False, api_visibility="private", show_progress="hidden"
        )
    return panel


def watch_updates(service: Service, run_id: str | None) -> list[Any]:
    """Updates for `WatchPanel.outputs`."""
    if run_id is None:
        return [gr.skip()] * 6
    run = service.registry.runs.get(run_id)
    active = run.status in ("queued", "running") and run.stop_request is None
    unfinished = run.status in ("interrupted", "failed")
    runs = service.registry.runs
    position = runs.queue_position(run_id) if run.status == "queued" else None
    ahead = next((other.title for other in runs.list(status=["running"])), None) if position else None
    return [
        run_progress(run, position=position, ahead=ahead),
        *curves(service, run),
        gr.Button(visible=active and run.status == "running"),
        gr.Button(visible=active),
        gr.Button(visible=unfinished),
    ]


def curves(service: Service, run: Run) -> list[Any]:
    """Loss and accuracy by epoch; the linear probe is a level line beside the accuracy."""
    keys = [*_LOSS, "val_accuracy", "linear_probe_accuracy"]
    series = service.registry.runs.metrics(run.id, keys, max_points=MAX_POINTS)
    losses = [
        (point.step, point.value, shown) for key, shown in _LOSS.items() for point in series.get(key, [])
    ]
    accuracies = [(point.step, point.value, "adapter") for point in series.get("val_accuracy", [])]
    if accuracies and (probe := series.get("linear_probe_accuracy")):
        ends = sorted({accuracies[0][0], accuracies[-1][0]})
        accuracies += [(step, probe[-1].value, "linear probe") for step in ends]
    return [_filled(losses), _filled(accuracies)]


def _filled(rows: list[tuple[int, float, str]]) -> Any:
    frame = pd.DataFrame(rows, columns=["epoch", "value", "curve"]).dropna()
    return gr.LinePlot(frame, visible=len(frame) > 0)


def _plot(title: str, elem_id: str, *, y_lim: Any = None) -> gr.LinePlot:
    return gr.LinePlot(
        pd.DataFrame({"epoch": [], "value": [], "curve": []}),
        x="epoch",
        y="value",
        color="curve",
        title=title,
        y_lim=y_lim,
        y_title=title.lower(),
        color_title=" ",
        height=240,
        visible=False,
        elem_id=elem_id,
        tooltip="all",
    )
