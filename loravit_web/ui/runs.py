"""The tab Runs: the queue and the history, with true states and the next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import pandas as pd

from loravit_web.service import Service
from loravit_web.ui.errors import told
from loravit_web.ui.markup import definitions, flattened
from loravit_web.ui.watch import WatchPanel, build_watch, watch_updates
from loravit_web.views import duration, run_seconds
from registry import Run

COLUMNS = [
    "Run",
    "Name",
    "State",
    "Progress",
    "Best accuracy",
    "Data",
    "Preset",
    "Started",
    "Took",
    "Published",
]


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
        elem_id="runs-table",
        label="Runs",
    )
    watch = build_watch(service, run_id, prefix="runs")
    with gr.Accordion("Settings of the chosen run", open=False):
        settings = gr.HTML(elem_id="runs-settings")

    @told
    def choose(frame: pd.DataFrame, event: gr.SelectData) -> list[Any]:
        run = service.registry.runs.get(str(frame.iloc[event.index[0]]["Run"]))
        facts = {**dict(flattened(run.config)), **{k: str(v) for k, v in run.environment.items()}}
        return [run.id, definitions(facts), *watch_updates(service, run.id)]

    table.select(choose, table, [run_id, settings, *watch.outputs], api_visibility="private")
    return RunsTab(table, run_id, watch)


def runs_frame(service: Service) -> pd.DataFrame:
    """The newest runs as a table of text."""
    return pd.DataFrame([_row(service, run) for run in service.registry.runs.list()], columns=COLUMNS)


def _row(service: Service, run: Run) -> list[str]:
    best = service.registry.runs.summary(run.id).get("val_accuracy")
    seconds = run_seconds(run)
    return [
        run.id[:8],
        run.title,
        run.status,
        f"{run.progress:.0%}",
        f"{best.maximum:.1%}" if best else "–",
        run.dataset.name,
        str(run.config.get("preset", "–")),
        f"{run.started_at:%Y-%m-%d %H:%M}" if run.started_at else "–",
        duration(seconds) if seconds is not None else "–",
        run.published or "–",
    ]
