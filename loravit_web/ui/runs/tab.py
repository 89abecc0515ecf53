"""Tab Runs: the queue and the history, the selected run, and comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.errors import LoraVitError
from loravit_web.runs.deletion import deletion_of
from loravit_web.service import Service
from loravit_web.ui.kit.errors import plain, told, told_at
from loravit_web.ui.kit.events import EACH, IN_TURN, LAST, QUEUED, QUIET, UNCHECKED, Data, Updates, unchanged
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _
from loravit_web.ui.runs.buttons import connect_buttons
from loravit_web.ui.runs.compare import ComparePanel, build_compare, then_points, ticked
from loravit_web.ui.runs.detail import DetailPanel, build_detail
from loravit_web.ui.runs.listing import RunList, build_list
from loravit_web.ui.scripts import call
from loravit_web.visibility import Seen
from registry import RegistryError


@dataclass(frozen=True)
class RunsTab:
    """Parts of the tab.

    Attributes:
        listing: List of the runs.
        detail: Selected run.
        compare: Comparison of runs.
        chosen: ID of the selected run.
        compared: IDs of the compared runs.
        heard: Text whose change updates the whole tab.
    """

    listing: RunList
    detail: DetailPanel
    compare: ComparePanel
    chosen: gr.State
    compared: gr.State
    heard: gr.Textbox

    @property
    def inputs(self) -> set[Any]:
        """Components that decide what is shown; the ``data`` of handlers contains their values."""
        return {*self.listing.inputs, *self.compare.inputs, self.chosen, self.compared}

    @property
    def untouched(self) -> Data:
        """Values of ``inputs`` on a page that was just opened."""
        return {one: one.value for one in self.inputs}

    def listed(self, seen: Seen, data: Data, *, page: int | None = None) -> Updates:
        """Return updates of the list, with the selected run and the compared ones marked."""
        return self.listing.updates(seen, data, data[self.chosen], data[self.compared], page=page)

    def drawn(self, seen: Seen, data: Data, *, same: bool = False) -> Updates:
        """Return updates of the comparison."""
        return self.compare.updates(seen, data, data[self.chosen], data[self.compared], same=same)


def build_runs(service: Service) -> RunsTab:
    """Build the tab and its events."""
    chosen, compared = gr.State(None), gr.State([])
    with gr.Row(equal_height=False, elem_id="runs-panes"):
        with gr.Column(scale=3, min_width=320, elem_id="runs-pane-list"):
            runs = build_list()
        detail = build_detail()
    compare = build_compare()
    tab = RunsTab(runs, detail, compare, chosen, compared, gr.Textbox(visible="hidden"))
    _look_through(service, tab)
    _choose(service, tab)
    _compare(service, tab)
    _delete(service, tab)
    detail.head.change(None, detail.head, None, js=call("runs.nameRun"), **QUIET)
    connect_buttons(
        service,
        detail.buttons,
        chosen,
        detail.outputs,
        lambda run, request: detail.updates(seen_by(service, request), run),
    )
    return tab


def list_arrived(service: Service, tab: RunsTab, request: gr.Request) -> Updates:
    """Return updates of the list for a page that was just opened, with the run of its link marked."""
    asked, seen = request.query_params.get("run"), seen_by(service, request)
    return tab.listed(seen, {**tab.untouched, tab.chosen: full_id(seen, asked) if asked else None})


def run_arrived(service: Service, tab: RunsTab, request: gr.Request) -> Updates:
    """Return updates of the selected run for a page that was just opened, if its link names one."""
    asked = request.query_params.get("run")
    if not asked:
        return {}
    seen = seen_by(service, request)
    found = full_id(seen, asked)
    return {
        tab.chosen: found,
        **tab.detail.updates(seen, found or asked),
        **tab.drawn(seen, {**tab.untouched, tab.chosen: found}),
    }


def follow_runs(service: Service, tab: RunsTab, pulse: gr.Textbox, around: gr.Tab) -> None:
    """Update the tab when the registry changes: at once if the tab is open, otherwise when it opens.

    Args:
        service: Service with the runs.
        tab: Parts of the tab.
        pulse: Text that changes with the registry.
        around: Tab with the components.
    """
    heard = tab.heard

    def look(data: Data, request: gr.Request) -> Updates:
        seen = seen_by(service, request)
        return {
            **tab.listed(seen, data),
            **tab.detail.updates(seen, data[tab.chosen], fresh=False),
            **tab.drawn(seen, data, same=True),
        }

    outputs = [*tab.listing.outputs, *tab.detail.outputs, *tab.compare.outputs]
    pulse.change(None, [pulse, heard], heard, js=call("runs.hearIfOpen"), **QUIET)
    around.select(None, pulse, heard, js=call("events.first"), **QUIET)
    heard.change(look, tab.inputs, outputs, **QUIET, **UNCHECKED)


def full_id(seen: Seen, asked: str) -> str | None:
    """Return the ID of a run, or None if there is no such run.

    Args:
        seen: What the visitor sees.
        asked: ID, or its beginning.
    """
    try:
        return seen.registry.runs.get(asked).id
    except RegistryError:  # the panel shows the error
        return None


def _look_through(service: Service, tab: RunsTab) -> None:
    """Add the events of search, filter and pages."""
    shown = tab.listing

    def look_at(page_of: Callable[[int], int]) -> Callable[..., Updates]:
        @told_at(shown.found)
        def look(data: Data, request: gr.Request) -> Updates:
            return tab.listed(seen_by(service, request), data, page=page_of(data[shown.page]))

        return look

    first, inputs = look_at(lambda _page: 1), {*shown.inputs, tab.chosen, tab.compared}
    for event, handler in (
        (shown.search.change, first),
        (shown.states.input, first),
        (shown.mine.input, first),
        (shown.previous.click, look_at(lambda page: page - 1)),
        (shown.following.click, look_at(lambda page: page + 1)),
    ):
        event(handler, inputs, shown.outputs, **LAST, **QUIET)


def _choose(service: Service, tab: RunsTab) -> None:
    """Add the events of a click on a run: it shows the run, and its curves unless runs are compared."""

    def choose(data: Data, request: gr.Request, event: gr.EventData) -> Updates:
        run_id, seen = str(event.run), seen_by(service, request)
        if not run_id:
            curves = {} if data[tab.compared] else tab.drawn(seen, {**data, tab.chosen: None})
            return {tab.chosen: None, **tab.detail.closed(), **curves}
        curves = {} if data[tab.compared] else tab.drawn(seen, {**data, tab.chosen: run_id})
        return {tab.chosen: run_id, **tab.detail.updates(seen, run_id), **curves}

    for event in (tab.listing.table.click, tab.listing.banner.select):
        chosen = event(
            choose,
            {*tab.compare.inputs, tab.compared},
            [tab.chosen, *tab.detail.outputs, *tab.compare.outputs],
            **EACH,
            **QUIET,
            **UNCHECKED,
        )
        then_points(tab.compare, chosen).then(None, None, None, js=call("runs.showDetail"))


def _compare(service: Service, tab: RunsTab) -> None:
    """Add the events that select runs to compare and that change how curves are drawn."""

    def compared_now(seen: Seen, data: Data, compared: list[str]) -> Updates:
        now = {**data, tab.compared: compared}
        return {tab.compared: compared, **tab.listed(seen, now), **tab.drawn(seen, now)}

    @told
    def tick(data: Data, event: gr.EventData, request: gr.Request) -> Updates:
        seen, compared = seen_by(service, request), data[tab.compared]
        try:
            compared = ticked(compared, seen.registry.runs.get(str(event.run)).id, event.on)
        except LoraVitError as error:
            gr.Warning(plain(error.in_public))
        return compared_now(seen, data, compared)

    def clear(data: Data, request: gr.Request) -> Updates:
        return compared_now(seen_by(service, request), data, [])

    def draw(data: Data, request: gr.Request) -> Updates:
        return tab.drawn(seen_by(service, request), data)

    outputs = [tab.compared, *tab.listing.outputs, *tab.compare.outputs]
    for event in (
        tab.listing.table.input(tick, tab.inputs, outputs, **IN_TURN, **UNCHECKED),
        tab.compare.clear.click(clear, tab.inputs, outputs, **QUIET, **UNCHECKED),
    ):
        then_points(tab.compare, event).then(None, None, None, js=call("ticks.show"))
    redrawn = gr.on(
        # not `release`, which a keyboard does not trigger
        [tab.compare.metric.input, tab.compare.smoothing.change, tab.compare.axis.input],
        draw,
        {*tab.compare.inputs, tab.chosen, tab.compared},
        tab.compare.outputs,
        **LAST,
        **QUIET,
        **UNCHECKED,
    )
    then_points(tab.compare, redrawn)


def _delete(service: Service, tab: RunsTab) -> None:
    """Add the events that ask for the deletion of the selected run and carry it out."""
    detail = tab.detail

    @told
    def ask(run_id: str | None, request: gr.Request) -> Updates:
        if run_id is None:
            return unchanged()
        return detail.confirm.asking(deletion_of(seen_by(service, request).registry, run_id))

    @told
    def delete(data: Data, request: gr.Request) -> Updates:
        plan, seen = data[detail.confirm.pending], seen_by(service, request)
        if plan is None:  # a second click before the reply to the first one
            return detail.confirm.closed()
        actions_of(service, request).delete_run(plan.run_id)
        compared = [one for one in data[tab.compared] if one != plan.run_id]
        now = {**data, tab.chosen: None, tab.compared: compared}
        gr.Success(_("The run is deleted."), title=_("Deleted"))
        return {
            tab.chosen: None,
            tab.compared: compared,
            **detail.closed(),
            **tab.listed(seen, now),
            **tab.drawn(seen, now),
        }

    outputs = [tab.chosen, tab.compared, *tab.listing.outputs, *detail.outputs, *tab.compare.outputs]
    detail.delete.click(ask, tab.chosen, list(detail.confirm.outputs), **QUEUED)
    deleted = detail.confirm.yes.click(
        delete, {*tab.inputs, detail.confirm.pending}, outputs, **QUEUED, **UNCHECKED
    )
    deleted.success(None, None, None, js=call("address.set", "run", ""), **QUIET)
    detail.confirm.no.click(detail.confirm.closed, None, list(detail.confirm.outputs), **QUIET)
