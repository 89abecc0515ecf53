"""The Catalog tab: all adapters, the card of the selected version, and the import of bundles."""

from __future__ import annotations

from typing import Any

import gradio as gr

from loravit_web.catalog.facts import read_facts
from loravit_web.service import Service
from loravit_web.ui.catalog.actions import connect_actions
from loravit_web.ui.catalog.bulk import build_bulk, connect_bulk
from loravit_web.ui.catalog.filters import DEFAULTS, build_filters
from loravit_web.ui.catalog.panel import build_card
from loravit_web.ui.catalog.versions import ticked_after
from loravit_web.ui.catalog.view import CatalogView
from loravit_web.ui.kit.errors import told_at
from loravit_web.ui.kit.events import EACH, IN_TURN, LAST, QUIET, UNCHECKED, Data, Updates
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import call, on_load

_QUIET: dict[str, Any] = {**QUIET, **UNCHECKED}


def build_catalog(service: Service) -> CatalogView:
    """Build the tab and its events."""
    view = _built(service)
    _look(view)
    _turn_pages(view)
    _choose(view)
    connect_actions(view)
    connect_bulk(view)
    view.revision.change(view.refreshed, view.inputs, view.outputs, **_QUIET)
    return view


def _built(service: Service) -> CatalogView:
    filters = build_filters()
    with gr.Row(equal_height=True, elem_id="catalog-ways"):
        found = gr.HTML(elem_id="catalog-found")
        filters.clear.render()
        upload = gr.UploadButton(
            _("Import"),
            file_types=[".zip"],
            size="sm",
            scale=0,
            min_width=160,
            elem_id="catalog-import",
        )
    read_only = gr.HTML(visible=False, elem_id="catalog-read-only")
    with gr.Row(equal_height=False, elem_id="catalog-panes"):
        with gr.Column(scale=1, min_width=300, elem_id="catalog-pane-list"):
            bulk = build_bulk()
            rows = gr.HTML(js_on_load=on_load("focus.keep", "list.listen"), elem_id="catalog-list")
            train = gr.Button(
                _("Train your first adapter"), variant="primary", visible=False, elem_id="catalog-first"
            )
            with gr.Row():
                previous = gr.Button(_("Previous page"), visible=False, size="sm", elem_id="catalog-previous")
                following = gr.Button(_("Next page"), visible=False, size="sm", elem_id="catalog-next")
        with gr.Column(scale=2, min_width=320):
            card = build_card()
    return CatalogView(
        service=service,
        # Not gr.State, whose changes outside the queue cause no event. Rendered outside the tabs, so that it
        # exists whichever tab is open.
        revision=gr.Textbox(render=False, visible="hidden", elem_id="catalog-revision"),
        filters=filters,
        found=found,
        rows=rows,
        previous=previous,
        following=following,
        train=train,
        upload=upload,
        read_only=read_only,
        bulk=bulk,
        card=card,
    )


def _look(view: CatalogView) -> None:
    """Show the first page after a filter changes. Text and status also change the choices of the filters."""
    filters = view.filters

    @told_at(view.found)
    def narrow(data: Data, request: gr.Request) -> Updates:
        return view.listed(seen_by(view.service, request), data, page=1)

    @told_at(view.found)
    def look(data: Data, request: gr.Request) -> Updates:
        seen = seen_by(view.service, request)
        return {**view.listed(seen, data, page=1), **filters.offered(seen, data)}

    @told_at(view.found)
    def clear(data: Data, request: gr.Request) -> Updates:
        seen = seen_by(view.service, request)
        emptied = {**data, **{filters.fields[name]: value for name, value in DEFAULTS.items()}}
        return {
            **filters.cleared(),
            **view.listed(seen, emptied, page=1),
            **filters.offered(seen, emptied),
        }

    # Not the field's `input`, which Gradio sends only for keys that type a letter. Its `change` also occurs
    # whenever the tab is opened, so it only copies the text.
    text = filters.fields["text"]
    text.change(None, [text, filters.words], filters.words, js=call("events.first"), **QUIET)
    wide = [filters.words.change, filters.fields["status"].input]
    narrower = [field.input for name, field in filters.fields.items() if name not in ("text", "status")]
    for fields, handler, outputs in (
        (wide, look, view.search_outputs),
        (narrower, narrow, view.list_outputs),
    ):
        gr.on(fields, handler, view.inputs, outputs, **LAST, **_QUIET)
    filters.clear.click(clear, view.inputs, view.search_outputs, **_QUIET)


def _turn_pages(view: CatalogView) -> None:
    def turn(by: int) -> Any:
        def turned(data: Data, request: gr.Request) -> Updates:
            return view.listed(seen_by(view.service, request), data, page=data[view.filters.page] + by)

        return told_at(view.found)(turned)

    view.previous.click(turn(-1), view.inputs, view.list_outputs, **LAST, **_QUIET)
    view.following.click(turn(1), view.inputs, view.list_outputs, **LAST, **_QUIET)


def _choose(view: CatalogView) -> None:
    card = view.card

    @told_at(view.found)
    def choose(data: Data, event: gr.SelectData, request: gr.Request) -> Updates:
        return view.chosen(data, str(event.value), request)

    @told_at(view.found)
    def tick(data: Data, event: gr.EventData, request: gr.Request) -> Updates:
        seen = seen_by(view.service, request)
        facts = read_facts(seen.registry, seen.predictor, data[card.ref])
        return card.comparing(seen, facts, ticked_after(data[card.ticked], str(event.ref), on=bool(event.on)))

    for source in (view.rows, card.versions):
        chosen = source.select(choose, view.inputs, [view.found, *card.outputs], **EACH, **_QUIET)
        chosen.success(None, card.link, None, js=call("card.showSelected"), **_QUIET)
    ticked = card.versions.input(
        tick, {card.ref, card.ticked}, [view.found, *card.of_versions], **IN_TURN, **UNCHECKED
    )
    ticked.then(None, None, None, js=call("ticks.show"), **_QUIET)
