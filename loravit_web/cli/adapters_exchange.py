"""``export``; and ``adapters``: export and import files, push to and pull from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loravit_web.access.rights import SHELL
from loravit_web.cli.choices import ExportFormatName, PrecisionName
from loravit_web.cli.shell import (
    AsJson,
    CommandFailed,
    Document,
    open_registry,
    open_service,
    output,
    write_file,
)
from loravit_web.util.console import progress_printer

if TYPE_CHECKING:
    from loravit_web.actions import Actions
    from loravit_web.service import Service

Ref = Annotated[str, typer.Argument(metavar="SLUG[@V]", help="The version, by default the newest.")]

app = typer.Typer(help="Exchange adapters.")


@app.command("export")
def export_version(
    ref: Ref,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")],
    as_json: AsJson = False,
) -> None:
    """Export a version to a file."""
    from loravit_web.catalog.exchange import exported

    with open_registry() as registry:
        version = registry.catalog.resolve(ref)
        _name, data = exported(registry, ref)
        write_file(file, data)
    document = {"adapter": version.ref, "file": str(file), "bytes": len(data)}
    output(as_json, document, lambda: f"Wrote {version.ref} to {file} ({len(data) / 1e6:.2f} MB).")


@app.command("import")
def import_version(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Exported file.")],
    as_json: AsJson = False,
) -> None:
    """Publish the version in an exported file."""
    with open_service() as service:
        version = _actions(service).import_bundle(file)
    output(as_json, {"adapter": version.ref}, lambda: f"Imported as {version.ref}.")


@app.command()
def push(
    ref: Ref,
    repo: Annotated[
        str,
        typer.Argument(metavar="REPO", help="OWNER/NAME of the repository. Created if it does not exist."),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Create a private repository. Reject a public one.")
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option(metavar="BRANCH", help="Branch, by default main. Created if it does not exist."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Push a version to the Hugging Face Hub."""
    from loravit_web.catalog.exchange import thumbnail_of

    with open_service() as service:
        version = service.registry.catalog.resolve(ref)
        pushed = _actions(service).push(version.ref, repo, private=private, revision=revision)
        shows_images = thumbnail_of(service.registry, version) is not None
    document = {"adapter": version.ref, "repo": pushed.repo, "commit": pushed.commit, "url": pushed.url}
    warning = " Its thumbnail shows training images." if shows_images else ""
    output(as_json, document, lambda: f"Pushed {version.ref} to {pushed.url}.{warning}")


@app.command()
def pull(
    repo: Annotated[
        str,
        typer.Argument(
            metavar="REPO[@REVISION]", help="OWNER/NAME of the repository, at a branch, tag or commit."
        ),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="SLUG", help="Publish it under this name instead of its own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish an adapter from the Hugging Face Hub."""
    repository, _at, revision = repo.partition("@")
    with open_service() as service:
        version = _actions(service).pull(repository, revision=revision or None, name=name)
    output(as_json, {"adapter": version.ref}, lambda: f"Published as {version.ref}.")


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
    """Return what an exported folder holds as JSON-ready values, or None for another folder."""
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


def _actions(service: Service) -> Actions:
    from loravit_web.actions import Actions

    return Actions(service, SHELL)
