"""Progress of a run with curves, buttons and log. The page only reads the registry."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pandas as pd

from loravit_web.adapters.files.first_answer import FirstAnswerDamaged
from loravit_web.runs.next_steps import place_of
from loravit_web.service import Service
from loravit_web.training.recipe import PRESETS
from loravit_web.ui.kit.events import Updates
from loravit_web.ui.kit.markup import notice, run_progress
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.language.texts import _, gettext_noop, ngettext
from loravit_web.ui.runs.buttons import RunButtons, RunId, build_buttons, connect_buttons
from loravit_web.ui.runs.first import FirstPanel, build_first, first_answer_of
from loravit_web.ui.runs.markup import log_text
from loravit_web.visibility import Seen
from registry import Run, UnknownRun

MAX_POINTS = 500
"""Maximum number of points per curve; more than a plot of this width can show."""
WHOLE = "d"
"""Number format of epochs on an axis: integers."""
_LOSS = {"train_loss": gettext_noop("training"), "val_loss": gettext_noop("validation")}
_NUMBERS = re.compile(r" \(\d+ images[^()]*\)$")


@dataclass(frozen=True)
class WatchPanel:
    """Components that follow a run.

    Attributes:
        state: What the browser has to know of the run, as from `state_of`; empty without a run.
        progress: Progress, result or error of the run.
        loss: Loss by epoch.
        accuracy: Accuracy by epoch.
        first: First answer, while the run trains.
        buttons: Buttons that change the run.
        try_it: Button that opens the task, or the first answer, in Use; the page connects it.
        record: Accordion with the log.
        log: End of the log.
        empty: Text until there is a run.
    """

    state: gr.Textbox
    progress: gr.HTML
    loss: gr.LinePlot
    accuracy: gr.LinePlot
    first: FirstPanel
    buttons: RunButtons
    try_it: gr.Button
    record: gr.Accordion
    log: gr.HTML
    empty: str

    @property
    def outputs(self) -> list[Any]:
        """Components that `updates` fills."""
        ends = [*self.buttons.outputs, self.try_it]
        plots = [self.loss, self.accuracy]
        return [self.state, self.progress, *self.first.outputs, *plots, *ends, self.record, self.log]

    def updates(self, seen: Seen, run_id: str | None, *, fresh: bool = False) -> Updates:
        """Return updates for a run.

        Args:
            seen: What the visitor sees.
            run_id: ID of the run; without one, there are no updates.
            fresh: Whether another run was watched before.
        """
        if run_id is None:
            return {}
        try:
            run = seen.registry.runs.get(run_id)
        except UnknownRun as error:  # the page continues after a run was deleted, for example in a demo
            hidden = dict.fromkeys(self.outputs, gr.update(visible=False))
            return {**hidden, self.state: "", self.progress: notice(error.in_public), self.log: ""}
        place = place_of(seen.registry, run)
        position, ahead = (place.position, place.ahead) if place else (None, None)
        try:
            answer = first_answer_of(seen, run)
            first = self.first.updates(answer)
        except FirstAnswerDamaged as error:  # the page continues to follow the run
            answer, first = None, self.first.updates(None, error.in_public)
        return {
            self.state: state_of(run),
            self.progress: run_progress(run, position=position, ahead=ahead),
            **dict(zip((self.loss, self.accuracy), curves(seen, run), strict=True)),
            **first,
            **self.buttons.updates(run, fresh=fresh),
            self.try_it: gr.Button(visible=run.published is not None or answer is not None),
            self.record: gr.Accordion(visible=run.status != "queued"),
            self.log: log_text(seen.log_of(run.id)),
        }


def build_watch(service: Service, run_id: RunId, *, prefix: str, empty: str) -> WatchPanel:
    """Build a panel that follows a run.

    Args:
        service: Service with the runs.
        run_id: ID of the run.
        prefix: Prefix of the element IDs.
        empty: Text until there is a run.
    """
    state = gr.Textbox(visible=False, container=False)
    progress = gr.HTML(notice(_(empty)), elem_id=f"{prefix}-progress")
    first = build_first(prefix)
    with gr.Row():
        loss, accuracy = build_curves(f"{prefix}-loss", f"{prefix}-accuracy")
    with gr.Accordion(_("Log"), open=False, visible=False, elem_id=f"{prefix}-record") as record:
        log = gr.HTML(elem_id=f"{prefix}-log", autoscroll=True)
    with gr.Column(elem_classes="lv-actions"):
        buttons = build_buttons(prefix)
        try_it = gr.Button(_("Try it now"), visible=False, elem_id=f"{prefix}-try-ended", min_width=120)
    panel = WatchPanel(state, progress, loss, accuracy, first, buttons, try_it, record, log, empty)
    connect_buttons(
        service,
        buttons,
        run_id,
        panel.outputs,
        lambda run, request: panel.updates(seen_by(service, request), run, fresh=True),
    )
    return panel


def state_of(run: Run) -> str:
    """Return as JSON what the browser has to know of a run; it changes only if the status changes."""
    preset = PRESETS.get(str(run.config.get("preset")))
    data = run.dataset
    state = {
        "run": run.id,
        "status": run.status,
        "published": run.published,
        "data": dataset_line(data.name, data.n_images, data.n_classes),
        "settings": " · ".join([*([preset.title] if preset else []), run.title]),
    }
    return json.dumps(state, ensure_ascii=False)


def dataset_line(name: str, images: int, classes: int) -> str:
    """Return a dataset in a few words, such as ``Signs · 60 images · 4 classes``.

    The names of samples end with their numbers, which are not said twice.
    """
    name = _NUMBERS.sub("", name)
    n_images = ngettext("{n} image", "{n} images", images)
    return " · ".join([name, n_images, ngettext("{n} class", "{n} classes", classes)])


def is_known(seen: Seen, run_id: str) -> bool:
    """Return whether a run exists. A browser may have kept the ID of a run of another registry."""
    try:
        seen.registry.runs.get(run_id)
    except UnknownRun:
        return False
    return True


def curves(seen: Seen, run: Run) -> tuple[gr.LinePlot, gr.LinePlot]:
    """Return plots of loss and accuracy by epoch. The probe is a horizontal line.

    With several labels per image, the mean average precision (mAP) stands beside the accuracy.
    """
    keys = [*_LOSS, "val_accuracy", "val_map", "linear_probe_accuracy"]
    series = seen.registry.runs.metrics(run.id, keys, max_points=MAX_POINTS)
    losses = [
        (point.step, point.value, _(shown)) for key, shown in _LOSS.items() for point in series.get(key, [])
    ]
    accuracies = [(point.step, point.value, _("adapter")) for point in series.get("val_accuracy", [])]
    if accuracies and (probe := series.get("linear_probe_accuracy")):
        ends = sorted({accuracies[0][0], accuracies[-1][0]})
        accuracies += [(step, probe[-1].value, _("probe")) for step in ends]
    accuracies += [(point.step, point.value, "mAP") for point in series.get("val_map", [])]
    return _filled(losses), _filled(accuracies)


def _filled(rows: list[tuple[int, float, str]]) -> gr.LinePlot:
    frame = pd.DataFrame(rows, columns=["epoch", "value", "curve"]).dropna()
    return gr.LinePlot(frame, visible=frame["epoch"].nunique() > 1)  # one point draws nothing


def build_curves(loss: str, accuracy: str) -> tuple[gr.LinePlot, gr.LinePlot]:
    """Build plots for `curves`, empty and hidden at first.

    Args:
        loss: Element ID of the plot of the loss.
        accuracy: Element ID of the plot of the accuracy.
    """
    return _plot(_("Loss"), loss), _plot(_("Accuracy"), accuracy, y_lim=[0, 1])


def _plot(title: str, elem_id: str, *, y_lim: Any = None) -> gr.LinePlot:
    return gr.LinePlot(
        pd.DataFrame({"epoch": [], "value": [], "curve": []}),
        x="epoch",
        x_axis_format=WHOLE,
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
