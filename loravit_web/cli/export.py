"""``export``: tasks for use without this app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loravit_web.cli.choices import ExportFormatName, PrecisionName
from loravit_web.cli.shell import AsJson, CommandFailed, Document, open_service, output
from loravit_web.util.console import progress_printer


def export(
    refs: Annotated[
        list[str],
        typer.Argument(
            metavar="SLUG[@V]...", help="The versions, by default the newest. All share one base."
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New or empty folder to write.")],
    form: Annotated[
        ExportFormatName,
        typer.Option(
            "--format",
            help="onnx: graphs that several tasks share, for Python. web: the same with a page for any "
            "static host. onnx-merged: one task in the layout of transformers.js.",
        ),
    ] = "onnx",
    precision: Annotated[
        PrecisionName,
        typer.Option(
            help="How the weights of the base are stored: fp32 exactly, fp16 in half of the size. Everything "
            "is computed in 32 bits."
        ),
    ] = "fp32",
    as_json: AsJson = False,
) -> None:
    """Export tasks for use without this app, and check that they compute the same."""
    from loravit_web.catalog.portable import export_versions

    with open_service() as service:
        try:
            export_versions(
                service.registry,
                service.base_for,
                refs,
                folder,
                form=form,
                precision=precision,
                packages=service.settings.packages,
                progress=progress_printer(),
            )
        except OSError as error:
            raise CommandFailed(
                f"{folder} cannot be written ({error.strerror or error}). Choose another folder."
            ) from error
    from loravit_web.export.summary import summary_of

    document = summary_of(folder)
    output(as_json, document, lambda: export_text(document))


def exported_folder(name: str) -> Document | None:
    """Return what an exported folder holds as JSON-ready values, or None if it is no such folder."""
    folder = Path(name)
    if not folder.is_dir():
        return None
    from loravit_web.export.summary import is_export, summary_of

    return summary_of(folder) if is_export(folder) else None


def export_text(document: Document) -> str:
    """Return `summary_of` a folder as text."""
    base, tasks = document["base"], document["tasks"]
    count = "1 task" if len(tasks) == 1 else f"{len(tasks)} tasks"
    lines = [
        f"{document['folder']}: {count} as {document['format']} "
        f"({document['precision']}), {document['bytes'] / 1e6:.1f} MB, written by {document['made_by']}.",
        f"Base: {base['name']} ({base['architecture']}), license {base['license']}, weights "
        f"{base['weights_sha256'][:12]}.",
    ]
    lines += [
        f"  {task['task']}: {task['title']}, {len(task['class_names'])} classes, {task['image_size']} px, "
        f"{task['bytes'] / 1e6:.2f} MB; logits within {task['largest_difference']:.1g} of the engine"
        for task in tasks
    ]
    return "\n".join(lines)
