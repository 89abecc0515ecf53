"""The catalog as a page sees it: the list that the filters give, and the card beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from loravit_web.catalog.facts import entry_standing
from loravit_web.service import Service
from loravit_web.ui.catalog.card import stale_html
from loravit_web.ui.catalog.filters import Filters, narrowed
from loravit_web.ui.catalog.listing import found_html, list_html
from loravit_web.ui.catalog.panel import CardPanel
from loravit_web.ui.kit.events import Data, Updates
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.served import picture_links
from loravit_web.ui.kit.share import page_url
from loravit_web.ui.kit.visitors import read_only, seen_by
from loravit_web.visibility import Seen
from registry import AdapterPage, AdapterQuery, NotFound

EVENTS_LOOKED_AT = 20


@dataclass(frozen=True)
class CatalogView:
    """Filters, list and card, with what redraws them.

    Attributes:
        revision: of the catalog as the page's clock saw it last; a new one redraws what it touches.
        train: leads to the first training while the catalog is empty.
        read_only: why this visitor can't import.
    """

    service: Service
    revision: gr.Textbox
    filters: Filters
    found: gr.HTML
    rows: gr.HTML
    previous: gr.Button
    following: gr.Button
    train: gr.Button
    upload: gr.UploadButton
    read_only: gr.HTML
    card: CardPanel

    @property
    def inputs(self) -> set[Any]:
        """What every method's ``data`` holds."""
        return {*self.filters.inputs, self.card.ref, self.card.seen, *self.card.change.inputs}

    @property
    def untouched(self) -> Data:
        """The ``data`` of a page in which nobody chose anything yet."""
        return {one: one.value for one in self.inputs}

    @property
    def list_outputs(self) -> list[Any]:
        """What `listed` updates."""
        pages = [self.filters.page, self.previous, self.following]
        return [*pages, self.filters.clear, self.found, self.rows, self.train]

    @property
    def search_outputs(self) -> list[Any]:
        """What `listed` updates, and the filters."""
        return [*self.list_outputs, *self.filters.fields.values()]

    @property
    def arriving(self) -> list[Any]:
        """What `list_arrived` updates."""
        return [*self.list_outputs, self.upload, self.read_only]

    @property
    def outputs(self) -> list[Any]:
        """Everything that the methods update."""
        return [*self.search_outputs, *self.card.outputs]

    def listed(
        self, seen: Seen, data: Data, *, page: int | None = None, chosen: str | None = None
    ) -> Updates:
        """Updates of the list: the page that is shown or another one, or the last one there is."""
        query = self.filters.query(data, page=page)
        shown = _page(seen, query)
        ref = chosen or data[self.card.ref]
        anything = bool(shown.total) or _page(seen, AdapterQuery(status=None, limit=1)).total > 0
        predictor = seen.predictor
        slug = ref.partition("@")[0] if ref else None
        pictures = picture_links(seen, shown.entries)
        html = list_html(shown, lambda one: entry_standing(predictor, one), pictures, slug, anything=anything)
        return {
            self.filters.page: shown.page,
            self.filters.clear: gr.Button(visible=narrowed(query)),
            self.found: found_html(shown) if anything else "",
            self.rows: html,
            self.previous: gr.Button(visible=shown.page > 1),
            self.following: gr.Button(visible=shown.page < shown.pages),
            self.train: gr.Button(visible=not anything),
        }

    def opened(self, data: Data, ref: str, request: gr.Request) -> Updates:
        """Updates that show a version, marked in the list; or why it can't be shown."""
        seen = seen_by(self.service, request)
        card = self._card(seen, ref, request)
        return {**card, **self.listed(seen, data, chosen=card[self.card.ref])}

    def shown_again(self, data: Data, ref: str, request: gr.Request) -> Updates:
        """Updates after the reader changed the version that is shown."""
        seen, url = seen_by(self.service, request), page_url(request)
        return {**self.card.shown_again(seen, ref, url, data), **self.listed(seen, data)}

    def list_arrived(self, request: gr.Request) -> Updates:
        """Updates of the list for a page that has just been opened; its link's adapter is marked.

        What there is to filter by is not among them: `Filters.offered` takes longer than all the rest.
        """
        seen = seen_by(self.service, request)
        refusal = seen.visitor.refusal("import")
        asked = request.query_params.get("adapter")
        return {
            **self.listed(seen, self.untouched, chosen=asked if asked and _is_known(seen, asked) else None),
            self.upload: gr.UploadButton(interactive=refusal is None),
            self.read_only: read_only(refusal),
        }

    def card_arrived(self, request: gr.Request) -> Updates:
        """Updates of the card for a page that has just been opened, by a link that may name an adapter."""
        asked = request.query_params.get("adapter")
        return self._card(seen_by(self.service, request), asked, request) if asked else {}

    def refreshed(self, data: Data, request: gr.Request) -> Updates:
        """Updates after the catalog changed: the list, and the card where somebody else did it."""
        seen = seen_by(self.service, request)
        return {
            **self.listed(seen, data),
            **self.filters.offered(seen, data),
            **self._changed_card(seen, data, request),
        }

    def _card(self, seen: Seen, ref: str, request: gr.Request) -> Updates:
        try:
            return self.card.opened(seen, ref, page_url(request))
        except NotFound as error:
            return self.card.closed(notice(error.in_public, kind="error"))

    def _changed_card(self, seen: Seen, data: Data, request: gr.Request) -> Updates:
        ref, since = data[self.card.ref], data[self.card.seen]
        if ref is None:
            return {}
        try:
            events = seen.registry.catalog.events(ref.partition("@")[0], limit=EVENTS_LOOKED_AT)
            new = [event for event in events if event.id > since]
            if not new:
                return {}
            return self.card.refreshed(seen, ref, page_url(request), data, stale_html(new))
        except NotFound as error:  # a backup took the place of what there was, or it was deleted
            return self.card.closed(notice(error.in_public, kind="error"))


def _page(seen: Seen, query: AdapterQuery) -> AdapterPage:
    """The page that is asked for, or the last one there is."""
    shown = seen.registry.search.adapters(query)
    if shown.page <= shown.pages:
        return shown
    return seen.registry.search.adapters(replace(query, page=shown.pages))


def _is_known(seen: Seen, ref: str) -> bool:
    try:
        seen.registry.catalog.version(ref)
    except NotFound:
        return False
    return True
