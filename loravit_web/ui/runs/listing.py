"""List of the tab Runs: the queue, and the history with search, filter and pages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, get_args

import gradio as gr

from loravit_web.ui.kit.events import Data, Updates
from loravit_web.ui.kit.markup import STATUS_SIGNS, found
from loravit_web.ui.runs.markup import loading, no_match, nothing_yet, queue_list, runs_table
from loravit_web.ui.scripts import on_load
from loravit_web.visibility import Seen
from registry import MAX_TEXT, Run, RunQuery, RunStatus

PAGE = 12
MOST_ACTIVE = 1000
BEST = "val_accuracy"
"""Metric in the column with the best accuracy."""


@dataclass(frozen=True)
class RunList:
    """Components of the list.

    Attributes:
        search: Words to search for.
        states: Statuses to show; all if empty.
        page: Number of the page, from 1.
        table: Queue and runs of the page.
        found: Number of results.
        previous: Button for the previous page.
        following: Button for the next page.
    """

    search: gr.Textbox
    states: gr.CheckboxGroup
    page: gr.State
    table: gr.HTML
    found: gr.HTML
    previous: gr.Button
    following: gr.Button

    @property
    def inputs(self) -> set[Any]:
        """Components that decide which runs are listed."""
        return {self.search, self.states, self.page}

    @property
    def outputs(self) -> list[Any]:
        """Components that `updates` fills."""
        return [self.page, self.table, self.found, self.previous, self.following]

    def updates(
        self,
        seen: Seen,
        data: Data,
        chosen: str | None,
        compared: Collection[str],
        *,
        page: int | None = None,
    ) -> Updates:
        """Return updates that show a page of the list, or the last page if there are fewer.

        Args:
            seen: What the visitor sees.
            data: Values of ``inputs``.
            chosen: ID of the selected run.
            compared: IDs of the compared runs.
            page: Number of the page, if it is not the one in ``data``.
        """
        search, at = seen.registry.search, data[self.page] if page is None else page
        query = RunQuery(
            text=data[self.search] or "",
            statuses=tuple(data[self.states] or ()),
            page=max(1, at),
            limit=PAGE,
        )
        shown = search.runs(query)
        if shown.page > shown.pages:
            shown = search.runs(replace(query, page=shown.pages))
        summaries = search.run_summaries([run.id for run in shown.runs], BEST)
        best = {run_id: summary.maximum for run_id, summary in summaries.items()}
        is_narrowed = bool(shown.words or query.statuses)
        empty = no_match() if is_narrowed else nothing_yet()
        table = runs_table(shown.runs, best, chosen, compared) if shown.runs else empty
        return {
            self.page: shown.page,
            self.table: queue_list(active_runs(seen), seen.registry.runs.queue_positions()) + table,
            self.found: found("run", shown.total, shown.page, shown.pages),
            self.previous: gr.Button(visible=shown.page > 1),
            self.following: gr.Button(visible=shown.page < shown.pages),
        }


def build_list() -> RunList:
    """Build the components, which are empty at first."""
    with gr.Row(equal_height=False):
        search = gr.Textbox(
            label="Search",
            placeholder="Name, dataset or ID",
            max_length=MAX_TEXT,
            elem_id="runs-search",
            scale=2,
            min_width=240,
        )
        states = gr.CheckboxGroup(
            [(f"{STATUS_SIGNS[status]} {status}", status) for status in get_args(RunStatus)],
            label="Status",
            info="All if none selected.",
            elem_id="runs-states",
            scale=3,
            min_width=300,
        )
    table = gr.HTML(loading(), js_on_load=on_load("focus.keep", "runs.listen"), elem_id="runs-table")
    with gr.Row():
        found = gr.HTML(elem_id="runs-found")
        previous = gr.Button("Previous page", visible=False, size="sm", elem_id="runs-previous")
        following = gr.Button("Next page", visible=False, size="sm", elem_id="runs-next")
    return RunList(search, states, gr.State(1), table, found, previous, following)


def active_runs(seen: Seen) -> list[Run]:
    """Return the running runs, then the queued ones in order."""
    runs = seen.registry.runs.list(status=["running", "queued"], limit=MOST_ACTIVE)
    return sorted(runs, key=lambda run: (run.status != "running", run.created_at, run.id))
