"""``data``: make the next revision of a stored dataset: add images, rename and merge classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loravit_web.access.rights import SHELL
from loravit_web.cli.choices import ClassesAt, ColumnChoices, NamesEncoding, classes_level, known_encoding
from loravit_web.cli.shell import (
    AsJson,
    Document,
    current_settings,
    open_registry,
    output,
    refuse_together,
)
from loravit_web.util.console import progress_printer
from loravit_web.util.text import plural

if TYPE_CHECKING:
    from loravit_web.datasets import DatasetStore, ImageDataset
    from loravit_web.datasets.sources.opening import Source
    from loravit_web.runs.revision_actions import RevisionActions

SKIPPED_SHOWN = 20
"""Maximum number of skipped files that are listed."""
Dataset = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="Title of a dataset, which means its newest revision, TITLE@2 for revision 2, or the first "
        "characters of a fingerprint.",
    ),
]

app = typer.Typer(help="Change stored datasets.")


@app.command("add")
def add_data(
    dataset: Dataset,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Folder, zip, tar or table; with --class also an image.")
    ],
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="NAME", help="Class of all images, whatever their folders are called."
        ),
    ] = None,
    classes_at: ClassesAt = None,
    encoding: NamesEncoding = None,
    column: ColumnChoices = None,
    as_json: AsJson = False,
) -> None:
    """Add images, and possibly classes, to a stored dataset, which makes its next revision."""
    if class_name is not None and (classes_at or encoding or column):
        refuse_together("--class", "--classes-at", "--encoding", "--column")
    with _changing() as (actions, stored):
        before = stored.find(dataset)
        with _source(data, class_name, stored, classes_at, encoding, column or ()) as source:
            revision = actions.extend(before.fingerprint, source, progress=progress_printer())
    output(as_json, revision_document(revision), lambda: revision_text(revision))


@app.command("rename-class")
def rename_class(
    dataset: Dataset,
    old: Annotated[str, typer.Argument(metavar="CLASS", help="Name of the class.")],
    new: Annotated[str, typer.Argument(metavar="NAME", help="New name, which no other class has.")],
    in_answers: Annotated[
        bool,
        typer.Option(
            "--in-answers",
            help="Let the versions that were trained on this revision answer with the new name, without "
            "training them again.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Rename a class of a stored dataset, which makes its next revision."""
    with _changing() as (actions, stored):
        before = stored.find(dataset)
        renamed = actions.rename_class(before.fingerprint, old, new, in_answers=in_answers)
    document = revision_document(renamed.dataset) | {"versions": list(renamed.versions)}
    told = [f"{version} answers with the new name." for version in renamed.versions]
    output(as_json, document, lambda: "\n".join([revision_text(renamed.dataset), *told]))


@app.command("merge-classes")
def merge_classes(
    dataset: Dataset,
    names: Annotated[list[str], typer.Argument(metavar="CLASS...", help="Names of the classes.")],
    into: Annotated[
        str,
        typer.Option("--into", metavar="NAME", help="Name of the one class; it may be that of one of them."),
    ],
    as_json: AsJson = False,
) -> None:
    """Merge classes of a stored dataset into one, which makes its next revision."""
    with _changing() as (actions, stored):
        before = stored.find(dataset)
        revision = actions.merge_classes(before.fingerprint, names, into)
    output(as_json, revision_document(revision), lambda: revision_text(revision))


def revision_document(dataset: ImageDataset) -> Document:
    """Return a revision and what changed since the one before as JSON-ready values."""
    revision = dataset.revision
    changes: Document = {"number": 1} if revision is None else revision.as_json()
    return {
        "dataset": dataset.fingerprint,
        "name": dataset.name,
        "images": len(dataset.items),
        "classes": list(dataset.classes),
        "revision": changes,
        "skipped": [{"path": entry.path, "reason": entry.reason} for entry in dataset.skipped],
    }


def revision_text(dataset: ImageDataset) -> str:
    """Return `revision_document` as text."""
    revision = dataset.revision
    first = f"“{dataset.title}” ({dataset.fingerprint[:12]}) has {plural(len(dataset.items), 'image')}"
    lines = [f"{first} in {len(dataset.classes)} classes{_since(dataset)}."]
    if revision is not None and dataset.skipped:
        lines.append(f"{plural(len(dataset.skipped), 'file')} not added:")
        lines += [f"  {entry.path}: {entry.reason}" for entry in dataset.skipped[:SKIPPED_SHOWN]]
        if len(dataset.skipped) > SKIPPED_SHOWN:
            lines.append(f"  and {len(dataset.skipped) - SKIPPED_SHOWN} more")
    return "\n".join(lines)


def _since(dataset: ImageDataset) -> str:
    return "" if dataset.revision is None else f": {dataset.revision.changes}"


@contextmanager
def _changing() -> Iterator[tuple[RevisionActions, DatasetStore]]:
    from loravit_web.datasets import DatasetStore
    from loravit_web.runs.revision_actions import RevisionActions

    stored = DatasetStore.of(current_settings()).imported_by(SHELL.name)
    with open_registry() as registry:
        yield RevisionActions(registry, SHELL, stored), stored


@contextmanager
def _source(
    data: str,
    class_name: str | None,
    stored: DatasetStore,
    classes_at: str | None,
    encoding: str | None,
    columns: Sequence[str],
) -> Iterator[Source]:
    from loravit_web.datasets import open_source
    from loravit_web.datasets.pool.source import labeled_as, open_images
    from loravit_web.datasets.sources.csv_table.rows import chosen_columns

    limits = stored.archive_limits
    if class_name is not None:
        with open_images([Path(data).expanduser()], limits) as source:
            yield labeled_as(source, class_name)
        return
    with open_source(
        data,
        limits,
        classes_at=classes_level(classes_at),
        encoding=known_encoding(encoding),
        columns=chosen_columns(columns),
    ) as source:
        yield source
