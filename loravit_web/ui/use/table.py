"""Many pictures at once: a zip or files in, one table and its CSV out."""

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
from loravit_web.ui.use.ask import LABELS, MOST_LABELS
from loravit_web.util.files import write_atomic


class TableRunning(LoraVitError):
    """A visitor asked for a table while another of theirs is being made."""


def build_many(service: Service, tasks: gr.Dropdown, top_k: gr.Slider, presence: Presence) -> None:
    """Build the panel and its event, which ends when its page is gone."""
    running: set[str] = set()
    with gr.Accordion("Many pictures: a table and a CSV", open=False, elem_id="use-many"):
        files = gr.File(
            label="A zip of pictures, or several pictures",
            file_count="multiple",
            file_types=["image", ".zip"],
            height=200,
            elem_id="use-many-files",
        )
        go = gr.Button("Ask the picked tasks about all of them", variant="primary", elem_id="use-many-go")
        table = gr.Dataframe(
            interactive=False,
            wrap=True,
            show_search="filter",
            visible=False,
            label="Best label of each task",
            elem_id="use-many-table",
        )
        download = gr.DownloadButton("Download all labels as CSV", visible=False, elem_id="use-many-csv")

    @told
    def ask(
        uploads: list[dict[str, Any]] | None,
        picked: list[str] | None,
        labels: float | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio's own way to ask for one
    ) -> Updates:
        seen = seen_by(service, request)
        if not uploads:
            raise NoImages("Choose pictures or a zip of them first.")
        if not picked:
            raise NoImages("Pick one or several tasks above first.")
        whose = seen.visitor.counted_by
        if whose in running and seen.visitor != LOCAL:
            raise TableRunning("Your other table is not done yet. Wait for it, or close its page to end it.")
        running.add(whose)
        try:
            rows = classify_files(
                seen.predictor,
                [Path(one["path"]) for one in uploads],
                picked,
                top_k=round(min(MOST_LABELS, max(1, labels or LABELS))),
                progress=lambda done, total: progress((done, total), unit="pictures"),
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
    """Write a file into Gradio's folder, where it lies for a day, by a name that nobody can guess."""
    folder = served_root(visitor.name) / uuid.uuid4().hex
    folder.mkdir(parents=True)
    write_atomic(folder / "answers.csv", text.encode())
    return str(folder / "answers.csv")
