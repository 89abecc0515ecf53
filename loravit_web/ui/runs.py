"""The tab Runs: the queue and the history, with true states and the next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import pandas as pd

from loravit_web.service import Service
from loravit_web.ui.errors import told
from loravit_web.ui.markup import STATUS_SIGNS, definitions, flattened
from loravit_web.ui.watch import WatchPanel, build_watch, watch_updates
from loravit_web.views import duration, run_seconds
from registry import MetricSummary, Run, RunQuery

COLUMNS = ["Run", "Name", "State", "Best", "Data", "Preset", "Started", "Took", "Published"]
WIDTHS: list[str | int] = ["90px", "150px", "130px", "80px", "180px", "90px", "150px", "80px", "150px"]


@dataclass(frozen=True)
class RunsTab:
    """What other parts of the page change here."""

    table: gr.Dataframe
    run_id: gr.State
    watch: WatchPanel


def build_runs(service: Service) -> RunsTab:
    """Build the tab and its events."""
    run_id = gr.State(None)
    table = gr.Dataframe(
        runs_frame(service),
        datatype="str",
        interactive=False,
        show_search="filter",
        wrap=True,
        column_widths=WIDTHS,
        elem_id="runs-table",
        label="Runs",
    )
    watch = build_watch(
        service, run_id, prefix="runs", empty="Choose a row to see its curves, settings and next step."
    )
    with gr.Accordion("Settings of the chosen run", open=False):
        settings = gr.HTML(elem_id="runs-settings")

    @told
    def choose(event: gr.SelectData) -> list[Any]:
        run = service.registry.runs.get(str(event.row_value[0]))
        facts = {**dict(flattened(run.config)), **{k: str(v) for k, v in run.environment.items()}}
        return [run.id, definitions(facts), *watch_updates(service, run.id)]

    table.select(choose, None, [run_id, settings, *watch.outputs], api_visibility="private")
    return RunsTab(table, run_id, watch)


def runs_frame(service: Service) -> pd.DataFrame:
    """The newest runs as a table of text."""
    runs = service.registry.search.runs(RunQuery(limit=100)).runs
    best = service.registry.search.run_summaries([run.id for run in runs], "val_accuracy")
    return pd.DataFrame([_row(run, best.get(run.id)) for run in runs], columns=COLUMNS)


def _row(run: Run, best: MetricSummary | None) -> list[str]:
    seconds = run_seconds(run)
    return [
        run.id[:8],
        run.title,
        f"{STATUS_SIGNS[run.status]} {run.status}",
        f"{best.maximum:.1%}" if best else "–",
        run.dataset.name,
        str(run.config.get("preset", "–")),
        f"{run.started_at:%Y-%m-%d %H:%M}" if run.started_at else "–",
        duration(seconds) if seconds is not None else "–",
        run.published or "–",
    ]
