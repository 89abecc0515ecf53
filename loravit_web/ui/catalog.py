"""The tab Catalog: every adapter, what is known about it, and its way out and in as one file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
import pandas as pd
from gradio.utils import get_upload_folder

from loravit_web.adapters.fileset import THUMBNAIL_FILE
from loravit_web.files import write_whole
from loravit_web.service import Service
from loravit_web.ui.errors import told
from loravit_web.ui.markup import notice, version_card
from loravit_web.ui.use import UseTab
from loravit_web.views import adapter_document
from registry import Version

COLUMNS = ["Task", "Name", "Version", "Classes", "Accuracy", "Linear probe", "Base", "MB", "Published"]
WIDTHS: list[str | int] = ["170px", "170px", "80px", "80px", "150px", "110px", "110px", "70px", "150px"]
EMPTY = notice("Adapters appear here as soon as a training ends.", title="The catalog is empty.")
PICK = notice("Choose a row to see its classes, metrics and origin.")


@dataclass(frozen=True)
class CatalogTab:
    """What other parts of the page change here."""

    table: gr.Dataframe
    card: gr.HTML


def build_catalog(service: Service, tabs: gr.Tabs, use: UseTab) -> CatalogTab:
    """Build the tab and its events."""
    slug = gr.State(None)
    table = gr.Dataframe(
        catalog_frame(service),
        datatype="str",
        interactive=False,
        show_search="filter",
        wrap=True,
        column_widths=WIDTHS,
        elem_id="catalog-table",
        label="Adapters",
    )
    card = gr.HTML(PICK, elem_id="catalog-card")
    with gr.Row():
        try_it = gr.Button("Try it", variant="primary", interactive=False, elem_id="catalog-try")
        download = gr.DownloadButton("Download", interactive=False, elem_id="catalog-download")
        upload = gr.UploadButton("Import a bundle", file_types=[".zip"], elem_id="catalog-import")

    @told
    def choose(event: gr.SelectData) -> list[Any]:
        return _shown(service, service.registry.catalog.resolve(str(event.row_value[0])))

    @told
    def take_in(path: str) -> list[Any]:
        version = service.import_bundle(Path(path), actor="page")
        gr.Success(f"{version.ref} is in the catalog.", title="Imported")
        return [catalog_frame(service), *_shown(service, version)]

    def go(chosen: str, picked: list[str] | None) -> list[Any]:
        return [gr.Tabs(selected="use"), list(dict.fromkeys([*(picked or []), chosen]))]

    shown = [slug, card, try_it, download]
    table.select(choose, None, shown, api_visibility="private")
    upload.upload(take_in, upload, [table, *shown], api_visibility="private")
    try_it.click(go, [slug, use.picker.tasks], [tabs, use.picker.tasks], api_visibility="private").then(
        *use.refresh, preprocess=False, api_visibility="private"
    )
    return CatalogTab(table, card)


def catalog_frame(service: Service) -> pd.DataFrame:
    """The catalog as a table of text."""
    rows = []
    for adapter in service.registry.catalog.adapters():
        row = adapter_document(adapter)
        if "version" not in row:
            continue
        accuracy = row["test_accuracy"] if row["test_accuracy"] is not None else row["val_accuracy"]
        split = "test" if row["test_accuracy"] is not None else "validation"
        rows.append(
            [
                row["slug"],
                row["title"],
                str(row["version"]),
                str(row["classes"]),
                "–" if accuracy is None else f"{accuracy:.1%} ({split})",
                "–" if row["linear_probe_accuracy"] is None else f"{row['linear_probe_accuracy']:.1%}",
                row["base"],
                f"{row['bytes'] / 1e6:.2f}",
                row["created_at"][:16].replace("T", " "),
            ]
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _shown(service: Service, version: Version) -> list[Any]:
    """A version's slug, card and working buttons."""
    versions = service.registry.catalog.versions(version.slug)
    file = _bundle_file(service, version)
    return [
        version.slug,
        version_card(version, versions, _picture_link(service, version)),
        gr.Button(interactive=True),
        gr.DownloadButton(value=file, interactive=True),
    ]


def _bundle_file(service: Service, version: Version) -> str:
    """The bundle as a file that Gradio may serve."""
    name, data = service.export(version.ref)
    return str(_served(data, name))


def _picture_link(service: Service, version: Version) -> str | None:
    """Where the page finds a version's thumbnail; relative, so that it holds behind any proxy."""
    data = service.thumbnail(version)
    return f"gradio_api/file={quote(str(_served(data, THUMBNAIL_FILE)))}" if data is not None else None


def _served(data: bytes, name: str) -> Path:
    """A file in Gradio's cache, from which it may serve; written once per content."""
    path = Path(get_upload_folder()) / "catalog" / hashlib.sha256(data).hexdigest()[:32] / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    return path
