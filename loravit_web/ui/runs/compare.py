"""Up to six runs side by side: curves over one another, the settings that differ, the best they came to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pandas as pd
from markupsafe import Markup

from loravit_web.errors import LoraVitError
from loravit_web.runs.comparison import best_rows, setting_rows
from loravit_web.runs.curves import LABELS, MOST_RUNS, Overlay, metric_keys, overlay, run_label
from loravit_web.ui.kit.events import QUIET, Data, Updates
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.runs.markup import compared_table, curves_head
from loravit_web.ui.runs.watch import WHOLE
from loravit_web.visibility import Seen
from registry import Run, UnknownRun

COLOURS = {"1": "#4f46e5", "2": "#d97706", "3": "#059669", "4": "#db2777", "5": "#0891b2", "6": "#8b5cf6"}
"""Of the runs, by place. Gradio's plots keep the colours of their first values, so all have all six."""
MOST_SMOOTHING = 0.95
PlotRow = tuple[float, float, str, str]
HINT = f"Tick up to {MOST_RUNS} runs in the list to lay them over one another."
ONE = "Tick another run to compare it with this one."


class TooManyRuns(LoraVitError):
    """More runs than a plot can keep apart."""


@dataclass(frozen=True)
class ComparePanel:
    """The components of a comparison.

    Attributes:
        rows: what is plotted. Gradio draws the points from before whenever a title or a limit changes with
            them, so `then_points` gives them to the plot in an event of their own.
    """

    title: gr.HTML
    metric: gr.Dropdown
    plot: gr.LinePlot
    rows: gr.State
    tables: gr.HTML
    clear: gr.Button
    smoothing: gr.Slider
    axis: gr.Radio

    @property
    def outputs(self) -> list[Any]:
        """What depends on the runs."""
        return [self.title, self.metric, self.plot, self.rows, self.tables, self.clear]

    @property
    def inputs(self) -> set[Any]:
        """How curves are to be drawn."""
        return {self.metric, self.smoothing, self.axis}

    def updates(
        self, seen: Seen, data: Data, chosen: str | None, compared: Sequence[str], *, same: bool = False
    ) -> Updates:
        """Updates of the comparison: the ticked runs, or the chosen one when none is ticked.

        Args:
            data: values of ``inputs``; of what is typed beside the slider, anything.
            same: whether only new points can have come, which may go with all the rest.
        """
        runs = _found(seen, compared or ([chosen] if chosen else []))
        if not runs:
            return {
                self.title: _empty_title(),
                **dict.fromkeys([self.metric, self.plot, self.clear], gr.update(visible=False)),
                self.rows: [],
                self.tables: "",
            }
        keys = metric_keys(seen.registry, [run.id for run in runs])
        key = data[self.metric] if data[self.metric] in keys else keys[0] if keys else None
        return {
            self.title: _title(runs, compared),
            self.metric: gr.Dropdown(
                [(LABELS.get(one, one), one) for one in keys], value=key, visible=bool(keys)
            ),
            **self._drawn(seen, data, runs, key, same=same),
            self.clear: gr.Button(visible=bool(compared)),
        }

    def _drawn(self, seen: Seen, data: Data, runs: list[Run], key: str | None, *, same: bool) -> Updates:
        """The plot and the tables below it."""
        tables = _tables(seen, runs)
        if key is None:
            nothing = notice("Nothing was measured yet.")
            return {self.plot: gr.LinePlot(visible=False), self.rows: [], self.tables: nothing + tables}
        axis, smoothing = data[self.axis], min(MOST_SMOOTHING, max(0.0, data[self.smoothing] or 0.0))
        shown = overlay(seen.registry, runs, key, axis=axis, smoothing=smoothing)
        left_out = ", ".join(shown.missing)
        note = notice(f"Without {LABELS.get(key, key)}: {left_out}.") if left_out else Markup()
        rows = _rows(shown, [run_label(run) for run in runs])
        has_line = len(rows) > len({row[2] for row in rows})  # single points are not drawn
        if rows and not has_line:
            note += notice("A curve needs two points; there is one so far. The table has the values.")
        plot = gr.LinePlot(
            visible=has_line,
            y_lim=list(shown.limits),
            x_title=axis,
            x_axis_format=WHOLE if axis == "epoch" else None,
            y_title=LABELS.get(key, key),
            **({"value": _frame(rows)} if same else {}),
        )
        return {self.plot: plot, self.rows: rows, self.tables: note + tables}


def build_compare() -> ComparePanel:
    """Build the panel, empty until a run is chosen or ticked."""
    title = gr.HTML(_empty_title(), elem_id="runs-compare-title")
    with gr.Row():
        metric = gr.Dropdown([], label="Metric", visible=False, elem_id="runs-metric", min_width=220)
        smoothing = gr.Slider(
            0,
            MOST_SMOOTHING,
            value=0,
            step=0.05,
            label="Smoothing",
            info="0 shows the values as they are.",
            elem_id="runs-smoothing",
            min_width=160,
        )
        axis = gr.Radio(
            [("epoch", "epoch"), ("minutes", "minutes")],
            value="epoch",
            label="Along",
            info="Minutes since the first point, pauses too.",
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
        colors_in_legend=[],  # the legend is `_title`'s, with the names
        elem_id="runs-plot",
    )
    tables = gr.HTML(elem_id="runs-compare")
    clear = gr.Button("Compare no runs", size="sm", visible=False, elem_id="runs-clear")
    rows = gr.State([])
    return ComparePanel(title, metric, plot, rows, tables, clear, smoothing, axis)


def then_points(panel: ComparePanel, event: Any) -> Any:
    """Draw the points after an event that filled the panel's outputs."""
    return event.then(_frame, panel.rows, panel.plot, **QUIET)


def ticked(compared: Sequence[str], run_id: str, on: bool) -> list[str]:
    """The compared runs after one was ticked or let go.

    Raises:
        TooManyRuns: if it is one too many.
    """
    others = [one for one in compared if one != run_id]
    if on and len(others) >= MOST_RUNS:
        raise TooManyRuns(f"{MOST_RUNS} runs are ticked already: let one of them go first.")
    return [*others, run_id] if on else others


def _rows(shown: Overlay, names: list[str]) -> list[PlotRow]:
    places = dict(zip(names, COLOURS, strict=False))
    return [(one.x, one.value, places[one.run], one.run) for one in shown.points]


def _frame(rows: Sequence[PlotRow]) -> pd.DataFrame:
    """The points of a plot, and of each other colour one that is not drawn."""
    first, used = rows[0][0] if rows else 0.0, {row[2] for row in rows}
    unseen = [(first, math.nan, place, "") for place in COLOURS if place not in used]
    return pd.DataFrame([*rows, *unseen], columns=["x", "value", "run", "name"])


def _empty_title() -> Markup:
    return curves_head("Curves", HINT, [], {})


def _title(runs: list[Run], compared: Sequence[str]) -> Markup:
    """What the curves are of, and the legend."""
    several = f"{len(runs)} run{'' if len(runs) == 1 else 's'} compared"
    heading = several if compared else "Curves of the chosen run"
    hint = "" if len(runs) > 1 else HINT if not compared else ONE
    return curves_head(heading, hint, [run_label(run) for run in runs], COLOURS)


def _tables(seen: Seen, runs: list[Run]) -> Markup:
    comparison = seen.registry.comparer.compare([run.id for run in runs])
    heads = [f"{place} · {run_label(run)}" for place, run in enumerate(runs, start=1)]
    best = compared_table("What they came to", heads, best_rows(comparison), "Nothing was measured yet.")
    if len(runs) == 1:
        return best
    differing = setting_rows(comparison)
    return best + compared_table("Settings that differ", heads, differing, "No setting differs.")


def _found(seen: Seen, run_ids: Sequence[str]) -> list[Run]:
    """The runs that are still there: a restored backup may have taken one away."""
    found = []
    for run_id in run_ids:
        try:
            found.append(seen.registry.runs.get(run_id))
        except UnknownRun:
            continue
    return found
