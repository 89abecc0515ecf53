"""Events that lead from one tab to another. Tabs do not know each other; the page connects them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from loravit_web.catalog.facts import read_facts
from loravit_web.runs.results import result_of
from loravit_web.serving.stored import task_of_run
from loravit_web.ui.kit.errors import told, told_at
from loravit_web.ui.kit.events import EACH, QUEUED, QUIET, UNCHECKED, Data, Updates
from loravit_web.ui.kit.uploads import uploaded_path
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _
from loravit_web.ui.page.page import Page
from loravit_web.ui.scripts import call
from loravit_web.ui.train.judged import picture_to_try
from loravit_web.ui.train.result import NoResultShown
from loravit_web.ui.use.picker import NOTHING_OPENS, Opening, with_tasks
from loravit_web.ui.use.teach import taught
from loravit_web.visibility import Seen

_LEAD: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def connect_tabs(page: Page) -> None:
    """Add the events that lead from one tab to another."""
    _try_tasks(page)
    _train_first(page)
    _see_result(page)
    _open_in_catalog(page)
    _watch_run(page)
    _add_image(page)


def _try_tasks(page: Page) -> None:
    """Add the events that lead from a card or a result to Use and pick the task."""
    service, picker = page.service, page.use.picker

    def picked(seen: Seen, memory: Any, task: str, opening: Opening = NOTHING_OPENS) -> Updates:
        listing = with_tasks(seen, memory, [seen.predictor.named(task)], opening)
        return {page.tabs: gr.Tabs(selected="use"), picker.listing: listing}

    def tried(seen: Seen, memory: Any, run: str, image: str | None = None) -> Updates:
        opening = Opening(picture_to_try(seen, run, image), None)
        return picked(seen, memory, result_of(seen.registry, run).version.ref, opening)

    @told
    def try_version(ref: str, memory: Any, request: gr.Request) -> Updates:
        seen = seen_by(service, request)
        return picked(seen, memory, read_facts(seen.registry, seen.predictor, ref).version.ref)

    @told
    def try_result(run: str | None, memory: Any, request: gr.Request) -> Updates:
        if run is None:
            raise NoResultShown(_("There is no result to try. Train an adapter first."))
        return tried(seen_by(service, request), memory, run)

    @told
    def try_image(run: str, memory: Any, event: gr.SelectData, request: gr.Request) -> Updates:
        return tried(seen_by(service, request), memory, run, str(event.value))

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
    result = train.result
    result.judged.images.select(
        try_image, [result.run_id, picker.memory], [page.tabs, picker.listing], **_LEAD, **EACH
    )


def _train_first(page: Page) -> None:
    """Add the event that leads from an empty catalog to Train."""
    page.catalog.train.click(lambda: gr.Tabs(selected="train"), None, page.tabs, **QUIET, **UNCHECKED)


def _see_result(page: Page) -> None:
    """Add the events that lead from a run, or a link to it, to its result in Train."""
    train, detail = page.train, page.runs.detail
    # the script of the steps clicks this button
    linked, see = (
        gr.Textbox(visible=False, container=False),
        gr.Button(visible="hidden", elem_id="see-result"),
    )

    @told
    def see_result(run_id: str, corrections: Any, request: gr.Request) -> Updates:
        seen = seen_by(page.service, request)
        return {
            page.tabs: gr.Tabs(selected="train"),
            train.run_id: run_id,
            **train.watch.updates(seen, run_id, fresh=True),
            **train.result.of_run(seen, run_id, corrections),
        }

    how: dict[str, Any] = {
        "outputs": [page.tabs, train.run_id, *train.watch.outputs, *train.result.outputs],
        "show_progress_on": [train.result.head],
        "api_visibility": "private",
    }
    open_step = call("steps.openRun")
    detail.result.click(see_result, [page.runs.chosen, train.corrections], **how).success(
        None, None, None, js=open_step, **QUIET
    )
    see.click(None, None, linked, js=call("steps.linkedRun"), **QUIET).then(
        see_result, [linked, train.corrections], **how
    ).success(None, None, None, js=open_step, **QUIET)


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
    for opened in (
        runs.detail.catalog.click(
            open_in_catalog, {runs.chosen, *catalog.inputs}, outputs, **_LEAD, **UNCHECKED
        ),
        page.use.answers.select(open_card, set(catalog.inputs), outputs, **_LEAD, **EACH, **UNCHECKED),
    ):
        opened.success(None, catalog.card.link, None, js=call("card.show"), **QUIET)


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
        watched.success(None, None, None, js=call("steps.openRun"), **QUIET)


def _add_image(page: Page) -> None:
    """Add the event that adds the image in Use to the data of a task, and leads to its check in Train."""
    service, teach, train = page.service, page.use.teach, page.train

    @told_at(teach.problem)
    def add(ref: str, image: Any, label: str | None, request: gr.Request) -> Updates:
        path = uploaded_path(image)
        seen, actions = seen_by(service, request), actions_of(service, request, uploads=[path])
        dataset, version = taught(seen, ref)
        more = actions.add_image(dataset.fingerprint, path, label or "")
        return {
            page.tabs: gr.Tabs(selected="train"),
            **teach.closed(),
            **train.given_data(seen, more, version),
        }

    teach.add.click(
        add,
        [teach.ref, page.use.asked[0], teach.label],
        [page.tabs, *teach.outputs, *train.given_outputs],
        **_LEAD,
        **UNCHECKED,
    ).then(None, teach.problem, None, js=call("steps.openData"), **QUIET)
