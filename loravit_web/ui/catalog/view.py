"""The view of the catalog on a page: the filtered list, and the card beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from loravit_web.catalog.facts import entry_availability
from loravit_web.service import Service
from loravit_web.ui.catalog.bulk import BulkPanel
from loravit_web.ui.catalog.card import none_chosen, stale_html
from loravit_web.ui.catalog.filters import Filters, narrowed
from loravit_web.ui.catalog.listing import Marks, found_html, list_html
from loravit_web.ui.catalog.panel import CardPanel
from loravit_web.ui.kit.events import Data, Updates
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.served import thumbnail_links
from loravit_web.ui.kit.share import page_url
from loravit_web.ui.kit.visitors import read_only, seen_by
from loravit_web.visibility import Seen
from registry import AdapterPage, AdapterQuery, NotFound, utc_now

EVENTS_LOOKED_AT = 20


@dataclass(frozen=True)
class CatalogView:
    """Filters, list and card, with the methods that update them.

    Attributes:
        service: Service behind the page.
        revision: Revision of the catalog as the page last saw it. A new one updates list and card.
        filters: Search fields.
        found: Number of adapters, or an error.
        rows: List of adapters.
        previous: Shows the previous page.
        following: Shows the next page.
        train: Leads to the Train tab while the catalog is empty.
        upload: Imports a bundle.
        read_only: Notice with the reason why the visitor cannot import.
        bulk: Changes of several adapters.
        card: Card of the selected version.
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
    bulk: BulkPanel
    card: CardPanel

    @property
    def inputs(self) -> set[Any]:
        """Components whose values the methods take as ``data``."""
        card = self.card
        return {*self.filters.inputs, self.bulk.picked, card.ref, card.seen, card.ticked, *card.change.inputs}

    @property
    def untouched(self) -> Data:
        """Initial values of ``inputs``."""
        return {one: one.value for one in self.inputs}

    @property
    def list_outputs(self) -> list[Any]:
        """Components that `listed` updates."""
        pages = [self.filters.page, self.previous, self.following]
        return [*pages, self.filters.clear, self.found, self.rows, self.train]

    @property
    def search_outputs(self) -> list[Any]:
        """Components that `listed` updates, and the filters."""
        return [*self.list_outputs, *self.filters.fields.values()]

    @property
    def arriving(self) -> list[Any]:
        """Components that `list_arrived` updates."""
        return [*self.list_outputs, self.upload, self.read_only]

    @property
    def outputs(self) -> list[Any]:
        """Components that any method updates, except `list_arrived`."""
        return [*self.search_outputs, *self.card.outputs]

    def listed(
        self, seen: Seen, data: Data, *, page: int | None = None, chosen: str | None = None
    ) -> Updates:
        """Return updates of the list.

        Args:
            seen: What the visitor sees of the app.
            data: Values of ``inputs``.
            page: Number of the page, or None for the current one. The last page replaces a missing one.
            chosen: Version to mark, or None for that of the card.
        """
        query = self.filters.query(seen, data, page=page)
        shown = _page(seen, query)
        ref = chosen or data[self.card.ref]
        anything = bool(shown.total) or _page(seen, AdapterQuery(status=None, limit=1)).total > 0
        predictor = seen.predictor
        slug = ref.partition("@")[0] if ref else None
        thumbnails = thumbnail_links(seen, shown.entries)
        html = list_html(
            shown,
            lambda one: entry_availability(predictor, one),
            thumbnails,
            Marks(slug, data[self.bulk.picked]),
            anything=anything,
            now=utc_now(),
            own_names=seen.visitor.own_names,
        )
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
        """Return updates that show a version and mark it in the list, or that show an error."""
        seen = seen_by(self.service, request)
        card = self._card(seen, ref, request, data[self.card.ticked])
        return {**card, **self.listed(seen, data, chosen=card[self.card.ref])}

    def chosen(self, data: Data, ref: str, request: gr.Request) -> Updates:
        """Return updates that show a version that was selected, or that close the card without one.

        The browser marks the row. The list is not drawn again, because it may follow a newer search.
        """
        if not ref:
            return {**self.card.closed(none_chosen()), **self.card.change.confirm.closed()}
        return self._card(seen_by(self.service, request), ref, request, data[self.card.ticked])

    def closed(self, data: Data, request: gr.Request) -> Updates:
        """Return updates that close the card of an adapter that was deleted."""
        closed = {**data, self.card.ref: None, self.card.ticked: []}
        return {**self.chosen(data, "", request), **self.listed(seen_by(self.service, request), closed)}

    def shown_again(self, data: Data, ref: str, request: gr.Request) -> Updates:
        """Return updates after the visitor changed the adapter that is shown."""
        seen, url = seen_by(self.service, request), page_url(request)
        return {**self.card.shown_again(seen, ref, url, data), **self.listed(seen, data)}

    def list_arrived(self, request: gr.Request) -> Updates:
        """Return updates of the list for a new page. The linked adapter is marked.

        The choices of the filters are not included, because `Filters.offered` takes longer than the rest.
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
        """Return updates of the card for a new page, whose link may name an adapter."""
        asked = request.query_params.get("adapter")
        return self._card(seen_by(self.service, request), asked, request) if asked else {}

    def refreshed(self, data: Data, request: gr.Request) -> Updates:
        """Return updates after a change of the catalog. The card changes only if its adapter did."""
        seen = seen_by(self.service, request)
        return {
            **self.listed(seen, data),
            **self.filters.offered(seen, data),
            **self._changed_card(seen, data, request),
        }

    def _card(self, seen: Seen, ref: str, request: gr.Request, ticked: Sequence[str] = ()) -> Updates:
        try:
            return self.card.opened(seen, ref, page_url(request), ticked)
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
        except NotFound as error:  # the adapter was deleted, or a backup was restored
            return self.card.closed(notice(error.in_public, kind="error"))


def _page(seen: Seen, query: AdapterQuery) -> AdapterPage:
    """Return the page of a query, or the last page if there is no such page."""
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
