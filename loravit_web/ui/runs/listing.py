"""List of the tab Runs: the active runs, and the history with search, filters and pages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, get_args

import gradio as gr

from loravit_web.ui.kit.events import Data, Updates
from loravit_web.ui.kit.markup import STATUS_SIGNS, found
from loravit_web.ui.language.texts import _, ngettext, numeral
from loravit_web.ui.language.words import status_name
from loravit_web.ui.runs.markup import (
    Scores,
    active_banner,
    loading,
    no_match,
    nodes_line,
    nothing_yet,
    runs_table,
)
from loravit_web.ui.scripts import on_load
from loravit_web.visibility import Seen
from registry import MAX_TEXT, Run, RunQuery, RunStatus, utc_now

PAGE = 12
MOST_ACTIVE = 1000
BEST, PROBE = "val_accuracy", "linear_probe_accuracy"
"""Metrics of the accuracies in the table."""


@dataclass(frozen=True)
class RunList:
    """Components of the list.

    Attributes:
        banner: Running and queued runs.
        nodes: Nodes that train runs; hidden if the app trains them itself.
        search: Words to search for.
        states: Statuses to show, with their numbers of runs; all if empty.
        mine: Whether to show only the visitor's runs.
        page: Number of the page, from 1.
        table: Runs of the page.
        found: Number of results.
        previous: Button for the previous page.
        following: Button for the next page.
    """

    banner: gr.HTML
    nodes: gr.HTML
    search: gr.Textbox
    states: gr.CheckboxGroup
    mine: gr.Checkbox
    page: gr.State
    table: gr.HTML
    found: gr.HTML
    previous: gr.Button
    following: gr.Button

    @property
    def inputs(self) -> set[Any]:
        """Components that decide which runs are listed."""
        return {self.search, self.states, self.mine, self.page}

    @property
    def outputs(self) -> list[Any]:
        """Components that `updates` fills."""
        shown = [self.banner, self.nodes, self.states, self.table, self.found]
        return [self.page, *shown, self.previous, self.following]

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
        own_names = seen.visitor.own_names
        query = RunQuery(
            text=data[self.search] or "",
            statuses=tuple(data[self.states] or ()),
            owners=own_names if data[self.mine] else (),
            page=max(1, at),
            limit=PAGE,
        )
        shown = search.runs(query)
        if shown.page > shown.pages:
            shown = search.runs(replace(query, page=shown.pages))
        is_narrowed = bool(shown.words or query.statuses or query.owners)
        table = no_match() if is_narrowed else nothing_yet()
        if shown.runs:
            table = runs_table(
                shown.runs,
                _scores(seen, shown.runs),
                chosen,
                compared,
                now=utc_now(),
                own_names=own_names,
            )
        active = active_runs(seen)
        banner = active_banner(active, seen.registry.runs.queue_positions(), seen.visitor)
        return {
            self.banner: gr.HTML(banner, visible=bool(active)),
            self.nodes: _nodes(seen),
            self.states: self._counted(seen, query),
            self.page: shown.page,
            self.table: table,
            self.found: found(ngettext("{n} run", "{n} runs", shown.total), shown.page, shown.pages),
            self.previous: gr.Button(visible=shown.page > 1),
            self.following: gr.Button(visible=shown.page < shown.pages),
        }

    def _counted(self, seen: Seen, query: RunQuery) -> gr.CheckboxGroup:
        """Return the statuses that there are or that are selected, with their numbers of runs."""
        counts = seen.registry.search.run_counts(query)
        statuses = [one for one in get_args(RunStatus) if one in counts or one in query.statuses]
        choices = [
            (f"{STATUS_SIGNS[one]} {status_name(one)} {numeral(counts.get(one, 0))}", one) for one in statuses
        ]
        return gr.CheckboxGroup(choices, visible=bool(choices))


def build_list() -> RunList:
    """Build the components, which are empty at first."""
    banner = gr.HTML(
        visible=False, js_on_load=on_load("focus.keep", "runs.listenToBanner"), elem_id="runs-banner"
    )
    nodes = gr.HTML(visible=False, elem_id="runs-nodes")
    with gr.Row(equal_height=False, elem_id="runs-filters"):
        search = gr.Textbox(
            label=_("Search"),
            placeholder=_("Name, dataset or ID"),
            max_length=MAX_TEXT,
            elem_id="runs-search",
            scale=2,
            min_width=200,
        )
        states = gr.CheckboxGroup(
            [(f"{STATUS_SIGNS[one]} {status_name(one)}", one) for one in get_args(RunStatus)],
            label=_("Status"),
            visible=False,
            elem_id="runs-states",
            scale=3,
            min_width=260,
        )
        mine = gr.Checkbox(label=_("Mine"), value=False, scale=0, min_width=90, elem_id="runs-mine")
    table = gr.HTML(loading(), js_on_load=on_load("focus.keep", "runs.listen"), elem_id="runs-table")
    with gr.Row():
        found = gr.HTML(elem_id="runs-found")
        previous = gr.Button(_("Previous page"), visible=False, size="sm", elem_id="runs-previous")
        following = gr.Button(_("Next page"), visible=False, size="sm", elem_id="runs-next")
    return RunList(banner, nodes, search, states, mine, gr.State(1), table, found, previous, following)


def active_runs(seen: Seen) -> list[Run]:
    """Return the running runs, then the queued ones in order."""
    runs = seen.registry.runs.list(status=["running", "queued"], limit=MOST_ACTIVE)
    return sorted(runs, key=lambda run: (run.status != "running", run.created_at, run.id))


def _nodes(seen: Seen) -> gr.HTML:
    if not seen.shows_nodes:
        return gr.HTML(visible=False)
    return gr.HTML(nodes_line(seen.registry.nodes.list()), visible=True)


def _scores(seen: Seen, runs: Collection[Run]) -> Scores:
    search, ids = seen.registry.search, [run.id for run in runs]
    best = {run_id: one.maximum for run_id, one in search.run_summaries(ids, BEST).items()}
    return Scores(
        accuracy={**best, **search.published_accuracies(ids)},
        probe={run_id: one.last for run_id, one in search.run_summaries(ids, PROBE).items()},
    )
