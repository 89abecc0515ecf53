"""Events that fill a page that was just opened, in steps: those that its link needs are first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.serving.predictor import MAX_TASKS
from loravit_web.ui.kit.events import QUIET, Updates, unchanged
from loravit_web.ui.kit.markup import who_line
from loravit_web.ui.kit.visitors import read_only, seen_by
from loravit_web.ui.page.follow import remembered, snapshot, watched_first
from loravit_web.ui.page.page import Page
from loravit_web.ui.page.strip import strip_update
from loravit_web.ui.runs.compare import then_points
from loravit_web.ui.runs.listing import active_runs
from loravit_web.ui.runs.tab import list_arrived, run_arrived
from loravit_web.ui.scripts import call
from loravit_web.ui.train.tab import show_result
from loravit_web.ui.use.answers import no_tasks
from loravit_web.ui.use.examples import first_opening
from loravit_web.ui.use.picker import chips_json, with_tasks

PREFIX = "fill_"
FIRST = {"use": ["use"], "train": ["train"], "catalog": ["card", "catalog"], "runs": ["run", "runs"]}
"""Steps that each tab needs."""
LINKED = {"card": "adapter", "run": "run"}
"""Parameters without which a step is skipped."""

VALUES = {"tabs": FIRST, "linked": LINKED, "prefix": PREFIX}
"""Values for the script that opens and fills a link's tab first."""


@dataclass(frozen=True)
class Step:
    """Step that fills a part of the page.

    Attributes:
        name: Name of the step.
        fill: Returns the updates, from the request and the values of ``inputs``.
        outputs: Components that the step updates.
        inputs: Components whose values the step needs.
    """

    name: str
    fill: Callable[..., Updates]
    outputs: list[Any]
    inputs: Sequence[Any] = ()


def fill_page(demo: gr.Blocks, page: Page) -> None:
    """Add the events of an opened page.

    The first step also fills what is above the tabs, and records the state of the registry before it reads
    what it shows. So the page does not miss a change. The values to filter by are not a step, because they
    take longest.
    """
    service, catalog = page.service, page.catalog
    above = [page.seen, page.who, page.strip]

    def taken(step: Step) -> Callable[..., Updates]:
        def take(seen: dict[str, Any] | None, request: gr.Request, *given: Any) -> Updates:
            first = _above(page, request) if seen is None else {}
            return {**first, **step.fill(request, *given)} or unchanged()

        return take

    def offer(request: gr.Request) -> Updates:
        return catalog.filters.offered(seen_by(service, request), catalog.untouched)

    then, events = demo.load, {}
    for step in _steps(page):
        events[step.name] = then(
            taken(step),
            [page.seen, *step.inputs],
            [*above, *step.outputs],
            api_name=PREFIX + step.name,
            **QUIET,
        )
        then = events[step.name].then
    events["catalog"].then(offer, None, list(catalog.filters.fields.values()), **QUIET)
    # a search from before the list was loaded runs again after it
    words, runs = catalog.filters.words, page.runs
    events["catalog"].then(None, words, words, js=call("arrival.searchAgain"), **QUIET)
    events["runs"].then(
        None, [runs.listing.search, runs.heard], runs.heard, js=call("arrival.searchAgain"), **QUIET
    )
    events["use"].then(None, None, page.use.asked, js=call("reload.restore"), **QUIET)
    events["card"].then(None, None, None, js=call("card.scrollTo"), **QUIET)
    # again, because the run may have ended since the browser requested its result
    show_result(service, page.train, events["train"].then)
    then_points(page.runs.compare, events["run"])


def _above(page: Page, request: gr.Request) -> Updates:
    seen = seen_by(page.service, request)
    now = snapshot(seen)
    active = active_runs(seen)
    return {
        page.seen: remembered(now, empty=seen.predictor.empty),
        page.who: who_line(seen.settings, seen.visitor),
        page.strip: strip_update(active),
    }


def _steps(page: Page) -> list[Step]:
    service, picker, train, runs = page.service, page.use.picker, page.train, page.runs

    def use(request: gr.Request, memory: dict[str, list[str]] | None) -> Updates:
        # only what the link names, because the user may have changed something before this step runs
        seen = seen_by(service, request)
        linked = [task for task in request.query_params.get("task", "").split(",") if task][:MAX_TASKS]
        picked = list(dict.fromkeys(map(seen.predictor.named, linked)))
        return {
            picker.listing: with_tasks(seen, memory, picked, first_opening(seen, picked)),
            picker.chips: chips_json(seen, memory),
            **({page.use.answers: no_tasks()} if seen.predictor.empty else {}),
        }

    def train_(request: gr.Request, watched: str | None, given: Any) -> Updates:
        seen, query = seen_by(service, request), request.query_params
        linked = query.get("run") if query.get("tab") == "train" else None
        run_id = watched_first(seen, active_runs(seen), linked or watched)
        return {
            train.read_only: read_only(seen.visitor.refusal("train")),
            **({} if run_id == watched else {train.run_id: run_id}),
            **train.watch.updates(seen, run_id),
            **train.given_before(seen, given),
        }

    return [
        Step("use", use, [picker.listing, picker.chips, page.use.answers], [picker.memory]),
        Step(
            "train",
            train_,
            [train.read_only, train.run_id, *train.watch.outputs, *train.of_given],
            [train.run_id, train.given],
        ),
        Step("catalog", page.catalog.list_arrived, page.catalog.arriving),
        Step("runs", lambda request: list_arrived(service, runs, request), runs.listing.outputs),
        Step("card", page.catalog.card_arrived, page.catalog.card.outputs),
        Step(
            "run",
            lambda request: run_arrived(service, runs, request),
            [runs.chosen, *runs.detail.outputs, *runs.compare.outputs],
        ),
    ]
