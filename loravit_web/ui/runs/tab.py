"""The tab Runs: the queue and the history, the chosen run and its next step, and comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.errors import LoraVitError
from loravit_web.runs.curves import Axis
from loravit_web.service import Service
from loravit_web.ui.kit.errors import plain, told, told_at
from loravit_web.ui.kit.events import EACH, IN_TURN, LAST, QUIET, UNCHECKED, Updates
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.runs.buttons import connect_buttons
from loravit_web.ui.runs.compare import ComparePanel, build_compare, compare_updates, then_points, ticked
from loravit_web.ui.runs.detail import DetailPanel, build_detail, detail_updates
from loravit_web.ui.runs.listing import RunList, build_list, listed_runs
from loravit_web.ui.scripts import call
from loravit_web.visibility import Seen
from registry import RegistryError


@dataclass(frozen=True)
class RunsTab:
    """The parts of the tab, the chosen run and the ticked ones.

    Attributes:
        heard: any change of it has all of the tab read anew.
    """

    listing: RunList
    detail: DetailPanel
    compare: ComparePanel
    chosen: gr.State
    compared: gr.State
    heard: gr.Textbox

    @property
    def everything(self) -> list[Any]:
        """All that a look at the registry may change."""
        return [*self.listing.listing, *self.detail.outputs, *self.compare.outputs]

    @property
    def asked(self) -> list[Any]:
        """All that decides what is shown."""
        return [*self.listing.asked, self.chosen, self.compared, *self.compare.asked]


def build_runs(service: Service) -> RunsTab:
    """Build the tab and its events."""
    chosen, compared = gr.State(None), gr.State([])
    runs = build_list()
    detail = build_detail()
    compare = build_compare()
    tab = RunsTab(runs, detail, compare, chosen, compared, gr.Textbox(visible="hidden"))
    _look_through(service, tab)
    _choose(service, tab)
    _compare(service, tab)
    detail.head.change(None, detail.head, None, js=call("runs.nameRun"), **QUIET)
    connect_buttons(
        service,
        detail.buttons,
        chosen,
        [chosen, *detail.outputs],
        lambda run, request: detail_updates(seen_by(service, request), run),
    )
    return tab


def list_arrived(service: Service, tab: RunsTab, request: gr.Request) -> Updates:
    """Updates of the list for a page that has just been opened; its link's run is marked."""
    asked, seen = request.query_params.get("run"), seen_by(service, request)
    chosen = full_id(seen, asked) if asked else None
    return dict(zip(tab.listing.listing, listed_runs(seen, "", [], 1, chosen, []), strict=True))


def run_arrived(service: Service, tab: RunsTab, request: gr.Request) -> Updates:
    """Updates of the chosen run for a page that has just been opened, by a link that may name one."""
    asked = request.query_params.get("run")
    if not asked:
        return {}
    seen = seen_by(service, request)
    found = full_id(seen, asked)
    updates = [
        found,
        *detail_updates(seen, found or asked),
        *compare_updates(seen, found, [], None, 0.0, "epoch"),
    ]
    return dict(zip([tab.chosen, *tab.detail.outputs, *tab.compare.outputs], updates, strict=True))


def follow_runs(service: Service, tab: RunsTab, pulse: gr.Textbox, around: gr.Tab) -> None:
    """Keep in step with the registry, whose changes change ``pulse``: at once if open, else once it opens.

    Args:
        around: what holds the tab's components.
    """
    heard = tab.heard

    def look(
        text: str,
        states: Any,
        page: int,
        chosen: str | None,
        compared: list[str],
        metric: str,
        smoothing: float,
        axis: Axis,
        request: gr.Request,
    ) -> list[Any]:
        seen = seen_by(service, request)
        return [
            *listed_runs(seen, text, states, page, chosen, compared),
            *detail_updates(seen, chosen, fresh=False),
            *compare_updates(seen, chosen, compared, metric, smoothing, axis, same=True),
        ]

    pulse.change(None, [pulse, heard], heard, js=call("runs.hearIfOpen"), **QUIET)
    around.select(None, pulse, heard, js=call("events.first"), **QUIET)
    heard.change(look, tab.asked, tab.everything, **QUIET, **UNCHECKED)


def full_id(seen: Seen, asked: str) -> str | None:
    """The id of the run that a link names, which may be the beginning of one; None when there is none."""
    try:
        return seen.registry.runs.get(asked).id
    except RegistryError:  # the panel says which
        return None


def _look_through(service: Service, tab: RunsTab) -> None:
    """Search, states and pages."""

    def look_at(page_of: Callable[[int], int]) -> Callable[..., Updates]:
        @told_at(shown.found)
        def look(
            text: str, states: Any, page: int, chosen: str | None, compared: list[str], request: gr.Request
        ) -> Updates:
            seen = seen_by(service, request)
            listing = listed_runs(seen, text, states, page_of(page), chosen, compared)
            return dict(zip(shown.listing, listing, strict=True))

        return look

    shown, asked = tab.listing, [*tab.listing.asked, tab.chosen, tab.compared]
    first = look_at(lambda _page: 1)
    shown.search.change(first, asked, shown.listing, **LAST, **QUIET)
    shown.states.input(first, asked, shown.listing, **LAST, **QUIET)
    shown.previous.click(look_at(lambda page: page - 1), asked, shown.listing, **LAST, **QUIET)
    shown.following.click(look_at(lambda page: page + 1), asked, shown.listing, **LAST, **QUIET)


def _choose(service: Service, tab: RunsTab) -> None:
    """A click on a run shows it; its curves too, unless others are compared."""

    def choose(
        compared: list[str],
        metric: str,
        smoothing: float,
        axis: Axis,
        request: gr.Request,
        event: gr.EventData,
    ) -> list[Any]:
        run_id, seen = str(event.run), seen_by(service, request)
        curves = compare_updates(seen, run_id, compared, metric, smoothing, axis)
        same = [gr.skip()] * len(curves)
        return [run_id, *detail_updates(seen, run_id), *(same if compared else curves)]

    chosen = tab.listing.table.click(
        choose,
        [tab.compared, *tab.compare.asked],
        [tab.chosen, *tab.detail.outputs, *tab.compare.outputs],
        **EACH,
        **QUIET,
        **UNCHECKED,
    )
    then_points(tab.compare, chosen).then(None, None, None, js=call("runs.showDetail"))


def _compare(service: Service, tab: RunsTab) -> None:
    """Ticking runs, and how their curves are drawn."""
    asked = [*tab.listing.asked, tab.chosen, tab.compared, *tab.compare.asked]

    def tick(
        text: str,
        states: Any,
        page: int,
        chosen: str | None,
        compared: list[str],
        metric: str,
        smoothing: float,
        axis: Axis,
        event: gr.EventData,
        request: gr.Request,
    ) -> list[Any]:
        seen = seen_by(service, request)
        try:
            now = ticked(compared, seen.registry.runs.get(str(event.run)).id, event.on)
        except LoraVitError as error:
            gr.Warning(plain(error.in_public))
            now = compared
        listing = listed_runs(seen, text, states, page, chosen, now)
        return [now, *listing, *compare_updates(seen, chosen, now, metric, smoothing, axis)]

    def clear(
        request: gr.Request,
        text: str,
        states: Any,
        page: int,
        chosen: str | None,
        _compared: list[str],
        *how: Any,
    ) -> list[Any]:
        seen = seen_by(service, request)
        listing = listed_runs(seen, text, states, page, chosen, [])
        return [[], *listing, *compare_updates(seen, chosen, [], *how)]

    def draw(request: gr.Request, chosen: str | None, compared: list[str], *how: Any) -> list[Any]:
        return compare_updates(seen_by(service, request), chosen, compared, *how)

    outputs = [tab.compared, *tab.listing.listing, *tab.compare.outputs]
    for event in (
        tab.listing.table.input(told(tick), asked, outputs, **IN_TURN, **UNCHECKED),
        tab.compare.clear.click(clear, asked, outputs, **QUIET, **UNCHECKED),
    ):
        then_points(tab.compare, event).then(None, None, None, js=call("runs.showTicks"))
    redrawn = gr.on(
        # not `release`, which a keyboard has none of
        [tab.compare.metric.input, tab.compare.smoothing.change, tab.compare.axis.input],
        draw,
        [tab.chosen, tab.compared, *tab.compare.asked],
        tab.compare.outputs,
        **LAST,
        **QUIET,
        **UNCHECKED,
    )
    then_points(tab.compare, redrawn)
