"""Events that lead from one tab to another. Tabs do not know each other; the page connects them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from loravit_web.catalog.facts import read_facts
from loravit_web.runs.results import result_of
from loravit_web.serving.stored import task_of_run
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import EACH, QUEUED, QUIET, UNCHECKED, Data, Updates
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.page.page import Page
from loravit_web.ui.scripts import call
from loravit_web.ui.train.result import NoResultShown
from loravit_web.ui.use.picker import with_tasks
from loravit_web.visibility import Seen

_LEAD: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def connect_tabs(page: Page) -> None:
    """Add the events that lead from one tab to another."""
    _try_tasks(page)
    _train_first(page)
    _see_result(page)
    _open_in_catalog(page)
    _watch_run(page)


def _try_tasks(page: Page) -> None:
    """Add the events that lead from a card or a result to Use and pick the task."""
    service, picker = page.service, page.use.picker

    def picked(seen: Seen, memory: Any, task: str) -> Updates:
        return {page.tabs: gr.Tabs(selected="use"), picker.listing: with_tasks(seen, memory, [task])}

    @told
    def try_version(ref: str, memory: Any, request: gr.Request) -> Updates:
        seen = seen_by(service, request)
        facts = read_facts(seen.registry, seen.predictor, ref)
        return picked(seen, memory, facts.adapter.slug if facts.newest else ref)

    @told
    def try_result(run: str | None, memory: Any, request: gr.Request) -> Updates:
        if run is None:
            raise NoResultShown("There is no result to try. Train an adapter first.")
        seen = seen_by(service, request)
        return picked(seen, memory, result_of(seen.registry, run).version.slug)

    @told
    def try_watched(run_id: str | None, memory: Any, request: gr.Request) -> Updates:
        seen = seen_by(service, request)
        if run_id is None or seen.registry.runs.get(run_id).published is not None:
            return try_result(run_id, memory, request)
        return picked(seen, memory, task_of_run(run_id))

    card, train = page.catalog.card, page.train
    for button, handler, shown in (
        (card.try_it, try_version, card.ref),
        (train.result.try_it, try_result, train.result.run_id),
        (train.watch.try_it, try_watched, train.run_id),
    ):
        button.click(handler, [shown, picker.memory], [page.tabs, picker.listing], **_LEAD)


def _train_first(page: Page) -> None:
    """Add the event that leads from an empty catalog to Train."""
    page.catalog.train.click(lambda: gr.Tabs(selected="train"), None, page.tabs, **QUIET, **UNCHECKED)


def _see_result(page: Page) -> None:
    """Add the event that leads from a run to its result in Train."""
    train, detail = page.train, page.runs.detail

    @told
    def see_result(run_id: str, corrections: Any, request: gr.Request) -> Updates:
        seen = seen_by(page.service, request)
        return {
            page.tabs: gr.Tabs(selected="train"),
            train.run_id: run_id,
            **train.watch.updates(seen, run_id, fresh=True),
            **train.result.of_run(seen, run_id, corrections),
        }

    detail.result.click(
        see_result,
        [page.runs.chosen, train.corrections],
        [page.tabs, train.run_id, *train.watch.outputs, *train.result.outputs],
        show_progress_on=[train.result.head],
        api_visibility="private",
    ).then(None, None, None, js=call("runs.showResult"))


def _open_in_catalog(page: Page) -> None:
    """Add the events that lead from a run, or an answer, to the card of its version in Catalog."""
    catalog, runs = page.catalog, page.runs

    @told
    def open_in_catalog(data: Data, request: gr.Request) -> Updates:
        ref = result_of(seen_by(page.service, request).registry, data[runs.chosen]).version.ref
        return {page.tabs: gr.Tabs(selected="catalog"), **catalog.opened(data, ref, request)}

    @told
    def open_card(data: Data, event: gr.SelectData, request: gr.Request) -> Updates:
        return {page.tabs: gr.Tabs(selected="catalog"), **catalog.opened(data, str(event.value), request)}

    outputs = [page.tabs, *catalog.outputs]
    runs.detail.catalog.click(open_in_catalog, {runs.chosen, *catalog.inputs}, outputs, **_LEAD, **UNCHECKED)
    page.use.answers.select(open_card, set(catalog.inputs), outputs, **_LEAD, **EACH, **UNCHECKED)


def _watch_run(page: Page) -> None:
    """Add the events that lead from the line above the tabs, and from Runs, to the run in Train."""
    train = page.train

    @told
    def watch(event: gr.EventData, request: gr.Request) -> Updates:
        seen = seen_by(page.service, request)
        run = seen.registry.runs.get(str(event.run))
        return {
            page.tabs: gr.Tabs(selected="train"),
            train.run_id: run.id,
            **train.watch.updates(seen, run.id, fresh=True),
        }

    outputs = [page.tabs, train.run_id, *train.watch.outputs]
    for source in (page.strip, page.runs.listing.banner):
        watched = source.click(watch, None, outputs, **EACH, **QUEUED)
        watched.success(None, None, None, js=call("strip.showProgress"))
