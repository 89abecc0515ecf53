"""Batch classification: images or a zip file go in, a table and a CSV come out."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import gradio as gr

from loravit_web.access.rights import LOCAL, Visitor
from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.serving.table import NoImages, as_csv, as_table, classify_files
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import UNCHECKED, Updates
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.kit.served import served_root
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.language.texts import _
from loravit_web.ui.use.ask import LABELS, MOST_LABELS
from loravit_web.util.files import write_atomic


class TableRunning(LoraVitError):
    """A visitor starts a batch while their previous one is still running."""


def build_many(service: Service, tasks: gr.Dropdown, top_k: gr.Slider, presence: Presence) -> None:
    """Build the panel and its event. A batch stops when its page is closed."""
    running: set[str] = set()
    with gr.Accordion(_("Batch classification"), open=False, elem_id="use-many"):
        files = gr.File(
            label=_("Images or a zip file"),
            file_count="multiple",
            file_types=["image", ".zip"],
            height=200,
            elem_id="use-many-files",
        )
        go = gr.Button(_("Classify all images"), variant="primary", elem_id="use-many-go")
        table = gr.Dataframe(
            interactive=False,
            wrap=True,
            show_search="filter",
            visible=False,
            label=_("Top prediction per task"),
            elem_id="use-many-table",
        )
        download = gr.DownloadButton(_("Download CSV"), visible=False, elem_id="use-many-csv")

    @told
    def ask(
        uploads: list[dict[str, Any]] | None,
        picked: list[str] | None,
        labels: float | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio fills in this default
    ) -> Updates:
        seen = seen_by(service, request)
        if not uploads:
            raise NoImages(_("Add images or a zip file first."))
        if not picked:
            raise NoImages(_("Select a task first."))
        whose = seen.visitor.counted_by
        if whose in running and seen.visitor != LOCAL:
            raise TableRunning(
                _("Your last batch is still running. Wait for it, or close its page to stop it.")
            )
        running.add(whose)
        try:
            rows = classify_files(
                seen.predictor,
                [Path(one["path"]) for one in uploads],
                picked,
                top_k=round(min(MOST_LABELS, max(1, labels or LABELS))),
                progress=lambda done, total: progress((done, total), unit="images"),
                limits=seen.settings.limits,
                is_cancelled=presence.watch(request.session_hash),
            )
        finally:
            running.discard(whose)
        csv = _write_csv(as_csv(rows), seen.visitor)
        return {
            table: gr.Dataframe(as_table(rows), visible=True),
            download: gr.DownloadButton(value=csv, visible=True),
        }

    go.click(
        ask,
        [files, tasks, top_k],
        [table, download],
        concurrency_limit=2,
        concurrency_id="many",
        show_progress_on=[go],
        api_visibility="private",
        **UNCHECKED,
    )


def _write_csv(text: str, visitor: Visitor) -> str:
    """Write a CSV under a random name into a folder that Gradio serves, and return its path."""
    folder = served_root(visitor.name) / uuid.uuid4().hex
    folder.mkdir(parents=True)
    write_atomic(folder / "answers.csv", text.encode())
    return str(folder / "answers.csv")
