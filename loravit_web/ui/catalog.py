"""The tab Catalog: every adapter, what is known about it, and its way out and in as one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from loravit_web.service import Service
from loravit_web.ui.errors import told
from loravit_web.ui.markup import notice, version_card
from loravit_web.ui.served import bundle_file, picture_link
from loravit_web.ui.use import UseTab
from loravit_web.ui.visitors import actions_of
from registry import MAX_TEXT, AdapterEntry, AdapterPage, AdapterQuery, NewestVersion, Version

COLUMNS = ["Task", "Name", "Version", "Classes", "Accuracy", "Linear probe", "Base", "MB", "Published"]
WIDTHS: list[str | int] = ["170px", "170px", "80px", "80px", "150px", "110px", "110px", "70px", "150px"]
EMPTY = notice("Adapters appear here as soon as a training ends.", title="The catalog is empty.")
PICK = notice("Choose a row to see its classes, metrics and origin.")


@dataclass(frozen=True)
class CatalogTab:
    """What other parts of the page change here."""

    search: gr.Textbox
    page: gr.State
    table: gr.Dataframe
    found: gr.HTML
    previous: gr.Button
    following: gr.Button
    card: gr.HTML

    @property
    def listing(self) -> list[Any]:
        """What `listed` fills."""
        return [self.page, self.table, self.found, self.previous, self.following]


def build_catalog(service: Service, tabs: gr.Tabs, use: UseTab) -> CatalogTab:
    """Build the tab and its events."""
    slug, page = gr.State(None), gr.State(1)
    search = gr.Textbox(
        placeholder="Words in name, description, tags or classes",
        label="Search",
        max_length=MAX_TEXT,
        elem_id="catalog-search",
    )
    table = gr.Dataframe(
        catalog_frame(_page(service, "", 1)),
        datatype="str",
        interactive=False,
        wrap=True,
        column_widths=WIDTHS,
        elem_id="catalog-table",
        label="Adapters",
    )
    with gr.Row():
        found = gr.HTML(elem_id="catalog-found")
        previous = gr.Button("Previous page", visible=False, size="sm", elem_id="catalog-previous")
        following = gr.Button("Next page", visible=False, size="sm", elem_id="catalog-next")
    card = gr.HTML(PICK, elem_id="catalog-card")
    tab = CatalogTab(search, page, table, found, previous, following, card)
    with gr.Row():
        try_it = gr.Button("Try it", variant="primary", interactive=False, elem_id="catalog-try")
        download = gr.DownloadButton("Download", interactive=False, elem_id="catalog-download")
        upload = gr.UploadButton("Import a bundle", file_types=[".zip"], elem_id="catalog-import")

    @told
    def choose(event: gr.SelectData) -> list[Any]:
        return _shown(service, service.registry.catalog.resolve(str(event.row_value[0])))

    @told
    def take_in(path: str, text: str, at: int, request: gr.Request) -> list[Any]:
        version = actions_of(service, request).import_bundle(Path(path))
        gr.Success(f"{version.ref} is in the catalog.", title="Imported")
        return [*listed(service, text, at), *_shown(service, version)]

    def go(chosen: str, picked: list[str] | None) -> list[Any]:
        return [gr.Tabs(selected="use"), list(dict.fromkeys([*(picked or []), chosen]))]

    shown = [slug, card, try_it, download]
    table.select(choose, None, shown, api_visibility="private")
    upload.upload(take_in, [upload, search, page], [*tab.listing, *shown], api_visibility="private")
    try_it.click(go, [slug, use.picker.tasks], [tabs, use.picker.tasks], api_visibility="private").then(
        *use.refresh, preprocess=False, api_visibility="private"
    )
    _turn_pages(service, tab)
    return tab


def _turn_pages(service: Service, tab: CatalogTab) -> None:
    @told
    def look(text: str) -> list[Any]:
        return listed(service, text, 1)

    @told
    def back(text: str, at: int) -> list[Any]:
        return listed(service, text, at - 1)

    @told
    def on(text: str, at: int) -> list[Any]:
        return listed(service, text, at + 1)

    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    tab.search.change(look, tab.search, tab.listing, trigger_mode="always_last", **quiet)
    tab.previous.click(back, [tab.search, tab.page], tab.listing, **quiet)
    tab.following.click(on, [tab.search, tab.page], tab.listing, **quiet)


def listed(service: Service, text: str | None, page: int) -> list[Any]:
    """Updates for `CatalogTab.listing`: this page, or the last one there is."""
    shown = _page(service, text or "", max(1, page))
    if shown.page > shown.pages:
        shown = _page(service, text or "", shown.pages)
    where = f", page {shown.page} of {shown.pages}" if shown.pages > 1 else ""
    count = f"{shown.total:,} adapter{'' if shown.total == 1 else 's'}{where}."
    return [
        shown.page,
        catalog_frame(shown),
        gr.HTML(f'<p class="lv-muted">{count}</p>'),
        gr.Button(visible=shown.page > 1),
        gr.Button(visible=shown.page < shown.pages),
    ]


def catalog_frame(page: AdapterPage) -> pd.DataFrame:
    """A page of the catalog as a table of text."""
    rows = [_row(entry, entry.newest) for entry in page.entries if entry.newest is not None]
    return pd.DataFrame(rows, columns=COLUMNS)


def _page(service: Service, text: str, page: int) -> AdapterPage:
    return service.registry.search.adapters(AdapterQuery(text=text, page=page))


def _row(entry: AdapterEntry, newest: NewestVersion) -> list[str]:
    split = "validation" if newest.test_accuracy is None else "test"
    return [
        entry.slug,
        entry.title,
        str(newest.version),
        str(newest.n_classes),
        "–" if newest.accuracy is None else f"{newest.accuracy:.1%} ({split})",
        "–" if newest.linear_probe_accuracy is None else f"{newest.linear_probe_accuracy:.1%}",
        newest.base,
        f"{newest.size_bytes / 1e6:.2f}",
        f"{newest.published_at:%Y-%m-%d %H:%M}",
    ]


def _shown(service: Service, version: Version) -> list[Any]:
    """A version's slug, card and working buttons."""
    versions = service.registry.catalog.versions(version.slug)
    file = bundle_file(service, version)
    return [
        version.slug,
        version_card(version, versions, picture_link(service, version)),
        gr.Button(interactive=True),
        gr.DownloadButton(value=file, interactive=True),
    ]
