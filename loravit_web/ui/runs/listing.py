"""The list of the tab Runs: what trains and waits, and the history by state, words and pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import gradio as gr

from loravit_web.ui.kit.markup import STATUS_SIGNS, found
from loravit_web.ui.runs.markup import loading, no_match, nothing_yet, queue_list, runs_table
from loravit_web.ui.scripts import on_load
from loravit_web.visibility import Seen
from registry import MAX_TEXT, Run, RunQuery, RunStatus

PAGE = 12
MOST_ACTIVE = 1000
BEST = "val_accuracy"


@dataclass(frozen=True)
class RunList:
    """The components of the list.

    Attributes:
        listing: what `listed_runs` fills.
    """

    search: gr.Textbox
    states: gr.CheckboxGroup
    page: gr.State
    table: gr.HTML
    found: gr.HTML
    previous: gr.Button
    following: gr.Button

    @property
    def asked(self) -> list[Any]:
        """What decides which runs are listed."""
        return [self.search, self.states, self.page]

    @property
    def listing(self) -> list[Any]:
        """What `listed_runs` fills."""
        return [self.page, self.table, self.found, self.previous, self.following]


def build_list() -> RunList:
    """Build the components, empty."""
    with gr.Row(equal_height=False):
        search = gr.Textbox(
            label="Search",
            placeholder="Words in name, data or id",
            max_length=MAX_TEXT,
            elem_id="runs-search",
            scale=2,
            min_width=240,
        )
        states = gr.CheckboxGroup(
            [(f"{STATUS_SIGNS[status]} {status}", status) for status in get_args(RunStatus)],
            label="State",
            info="None ticked: all.",
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


def listed_runs(
    seen: Seen,
    text: str | None,
    states: list[RunStatus] | None,
    page: int,
    chosen: str | None,
    compared: list[str],
) -> list[Any]:
    """Updates for `RunList.listing`: this page, or the last one there is."""
    search = seen.registry.search
    query = RunQuery(text=text or "", statuses=tuple(states or ()), page=max(1, page), limit=PAGE)
    shown = search.runs(query)
    if shown.page > shown.pages:
        shown = search.runs(RunQuery(query.text, query.statuses, page=shown.pages, limit=PAGE))
    best = {one: all_.maximum for one, all_ in search.run_summaries([r.id for r in shown.runs], BEST).items()}
    asked = bool(shown.words or query.statuses)
    empty = no_match() if asked else nothing_yet()
    table = runs_table(shown.runs, best, chosen, compared) if shown.runs else empty
    return [
        shown.page,
        queue_list(active_runs(seen), seen.registry.runs.queue_positions()) + table,
        found("run", shown.total, shown.page, shown.pages),
        gr.Button(visible=shown.page > 1),
        gr.Button(visible=shown.page < shown.pages),
    ]


def active_runs(seen: Seen) -> list[Run]:
    """What trains, then what waits in the order in which it will be taken up."""
    runs = seen.registry.runs.list(status=["running", "queued"], limit=MOST_ACTIVE)
    return sorted(runs, key=lambda run: (run.status != "running", run.created_at, run.id))
