"""Comparison of up to six runs: curves in one plot, different settings, and results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pandas as pd
from markupsafe import Markup

from loravit_web.errors import LoraVitError
from loravit_web.runs.comparison import best_rows, setting_rows
from loravit_web.runs.curves import LABELS, MOST_RUNS, Axis, metric_keys, overlay, run_label
from loravit_web.ui.kit.events import QUIET, Data, Updates
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.language.texts import _, gettext_noop, ngettext
from loravit_web.ui.runs.markup import compared_table, curves_head
from loravit_web.ui.runs.watch import WHOLE
from loravit_web.visibility import Seen
from registry import Run, UnknownRun

COLOURS = {"1": "#4f46e5", "2": "#d97706", "3": "#059669", "4": "#db2777", "5": "#0891b2", "6": "#8b5cf6"}
"""Colors by position. A plot of Gradio keeps the colors of its first values, so every plot has all six."""
MOST_SMOOTHING = 0.95
PlotRow = tuple[float, float, str, str]
"""Position on the x-axis, value, number of the run, and label of the run."""
HINT = gettext_noop("To compare runs, tick up to {most} of them.")
ONE = gettext_noop("Tick another run to compare it with this one.")
AXES: Mapping[Axis, str] = {"epoch": gettext_noop("Epoch"), "minutes": gettext_noop("Time (min)")}
"""Titles of the x-axes."""


class TooManyRuns(LoraVitError):
    """A selection of more runs than a plot can distinguish."""


@dataclass(frozen=True)
class ComparePanel:
    """Components of a comparison.

    Attributes:
        title: Title and legend.
        body: Contains the components below the title; hidden until a run is selected.
        controls: Contains metric, smoothing and axis; hidden without curves.
        metric: Metric of the plot.
        plot: Curves of the runs.
        rows: Points of the plot. Gradio draws the previous points if a title or limit changes in the same
            update, so `then_points` passes the points to the plot in a separate event.
        tables: Results and different settings.
        clear: Button that deselects all compared runs.
        smoothing: Weight of the moving average, 0 for none.
        axis: Quantity on the x-axis.
    """

    title: gr.HTML
    body: gr.Row
    controls: gr.Row
    metric: gr.Dropdown
    plot: gr.LinePlot
    rows: gr.State
    tables: gr.HTML
    clear: gr.Button
    smoothing: gr.Slider
    axis: gr.Radio

    @property
    def outputs(self) -> list[Any]:
        """Components that depend on the runs."""
        shown = [self.metric, self.plot, self.rows, self.tables, self.clear]
        return [self.title, self.body, self.controls, *shown]

    @property
    def inputs(self) -> set[Any]:
        """Components that decide how curves are drawn."""
        return {self.metric, self.smoothing, self.axis}

    def updates(
        self, seen: Seen, data: Data, chosen: str | None, compared: Sequence[str], *, same: bool = False
    ) -> Updates:
        """Return updates for the compared runs, or for the selected run if none is compared.

        Args:
            seen: What the visitor sees.
            data: Values of ``inputs``. The smoothing may be any number, because it can be typed.
            chosen: ID of the selected run.
            compared: IDs of the compared runs.
            same: Whether only points can have changed; then they are updated together with the rest.
        """
        runs = _found(seen, compared or ([chosen] if chosen else []))
        if not runs:
            return {
                self.title: _empty_title(),
                self.body: gr.Row(visible=False),
                self.rows: [],
                self.tables: "",
            }
        keys = metric_keys(seen.registry, [run.id for run in runs])
        key = data[self.metric] if data[self.metric] in keys else keys[0] if keys else None
        return {
            self.title: _title(runs, compared),
            self.body: gr.Row(visible=True),
            self.controls: gr.Row(visible=bool(keys)),
            self.metric: gr.Dropdown([(_metric(one), one) for one in keys], value=key, visible=bool(keys)),
            **self._drawn(seen, data, runs, key, same=same),
            self.clear: gr.Button(visible=bool(compared)),
        }

    def _drawn(self, seen: Seen, data: Data, runs: list[Run], key: str | None, *, same: bool) -> Updates:
        """Return updates of the plot and of the tables below it."""
        tables = _tables(seen, runs)
        if key is None:
            nothing = notice(_("No metrics yet."))
            return {self.plot: gr.LinePlot(visible=False), self.rows: [], self.tables: nothing + tables}
        axis, smoothing = data[self.axis], min(MOST_SMOOTHING, max(0.0, data[self.smoothing] or 0.0))
        shown = overlay(seen.registry, runs, key, axis=axis, smoothing=smoothing)
        left_out = ", ".join(shown.missing)
        note = (
            notice(_("No {metric} for {runs}.", metric=_metric(key), runs=left_out)) if left_out else Markup()
        )
        rows = [(one.x, one.value, str(one.place), one.run) for one in shown.points]
        has_line = len(rows) > len({row[2] for row in rows})  # single points are not drawn
        if rows and not has_line:
            note += notice(_("A curve needs at least two points. The table below shows the values so far."))
        plot = gr.LinePlot(
            visible=has_line,
            y_lim=list(shown.limits),
            x_title=_(AXES.get(axis, axis)),
            x_axis_format=WHOLE if axis == "epoch" else None,
            y_title=_metric(key),
            **({"value": _frame(rows)} if same else {}),
        )
        return {self.plot: plot, self.rows: rows, self.tables: note + tables}


def build_compare() -> ComparePanel:
    """Build the panel, which is empty until a run is selected or compared."""
    title = gr.HTML(_empty_title(), elem_id="runs-compare-title")
    with gr.Row(visible=False, equal_height=False, elem_id="runs-compare-body") as body:
        with gr.Column(scale=3, min_width=320):
            with gr.Row(visible=False) as controls:
                metric = gr.Dropdown(
                    [], label=_("Metric"), visible=False, elem_id="runs-metric", min_width=160
                )
                smoothing = gr.Slider(
                    0,
                    MOST_SMOOTHING,
                    value=0,
                    step=0.05,
                    label=_("Smoothing"),
                    info=_("0 = no smoothing."),
                    elem_id="runs-smoothing",
                    min_width=160,
                )
                axis = gr.Radio(
                    [(_(title), axis) for axis, title in AXES.items()],
                    value="epoch",
                    label=_("X-axis"),
                    info=_("Time includes pauses."),
                    elem_id="runs-axis",
                    min_width=160,
                )
            plot = gr.LinePlot(
                _frame([]),
                x="x",
                y="value",
                color="run",
                height=320,
                visible=False,
                tooltip=["x", "value", "name"],
                color_map=COLOURS,
                colors_in_legend=[],  # the legend in `_title` has the names of the runs
                elem_id="runs-plot",
            )
        with gr.Column(scale=2, min_width=300):
            tables = gr.HTML(elem_id="runs-compare")
            clear = gr.Button(_("Clear selection"), size="sm", visible=False, elem_id="runs-clear")
    rows = gr.State([])
    return ComparePanel(title, body, controls, metric, plot, rows, tables, clear, smoothing, axis)


def then_points(panel: ComparePanel, event: Any) -> Any:
    """Draw the points after an event that updated the outputs of the panel."""
    return event.then(_frame, panel.rows, panel.plot, **QUIET)


def ticked(compared: Sequence[str], run_id: str, on: bool) -> list[str]:
    """Return the compared runs after one was selected or deselected.

    Args:
        compared: IDs of the compared runs so far.
        run_id: ID of the run.
        on: Whether the run was selected.

    Raises:
        TooManyRuns: If `MOST_RUNS` others are selected.
    """
    others = [one for one in compared if one != run_id]
    if on and len(others) >= MOST_RUNS:
        raise TooManyRuns(_("You can compare up to {most} runs. Deselect one first.", most=MOST_RUNS))
    return [*others, run_id] if on else others


def _frame(rows: Sequence[PlotRow]) -> pd.DataFrame:
    """Return the points of a plot, and an invisible point for each unused color."""
    first, used = rows[0][0] if rows else 0.0, {row[2] for row in rows}
    unseen = [(first, math.nan, place, "") for place in COLOURS if place not in used]
    return pd.DataFrame([*rows, *unseen], columns=["x", "value", "run", "name"])


def _metric(key: str) -> str:
    """Return the name of a metric."""
    return _(LABELS.get(key, key))


def _hint() -> str:
    return _(HINT, most=MOST_RUNS)


def _empty_title() -> Markup:
    return curves_head(_("Metrics"), _hint(), [], {})


def _title(runs: list[Run], compared: Sequence[str]) -> Markup:
    """Return the title with a hint and the legend."""
    several = ngettext("{n} run compared", "{n} runs compared", len(runs))
    heading = several if compared else _("Metrics")
    hint = "" if len(runs) > 1 else _hint() if not compared else _(ONE)
    return curves_head(heading, hint, [run_label(run) for run in runs], COLOURS)


def _tables(seen: Seen, runs: list[Run]) -> Markup:
    comparison = seen.registry.comparer.compare([run.id for run in runs])
    heads = [f"{place} · {run_label(run)}" for place, run in enumerate(runs, start=1)]
    best = compared_table(_("Results"), heads, best_rows(comparison), _("No metrics yet."))
    if len(runs) == 1:
        return best
    differing = setting_rows(comparison)
    return best + compared_table(_("Different settings"), heads, differing, _("Identical settings."))


def _found(seen: Seen, run_ids: Sequence[str]) -> list[Run]:
    """Return the runs that still exist; a restored backup may lack one."""
    found = []
    for run_id in run_ids:
        try:
            found.append(seen.registry.runs.get(run_id))
        except UnknownRun:
            continue
    return found
