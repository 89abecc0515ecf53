"""``data``: check data before it is imported, and list, show, export and delete what is stored.

`data_change` holds the commands that make revisions, and `data_pool` those about images without labels.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loravit_web.access.rights import SHELL
from loravit_web.cli import data_change, data_pool
from loravit_web.cli.choices import (
    ClassesAt,
    ColumnChoices,
    FormName,
    NamesEncoding,
    classes_level,
    known_encoding,
)
from loravit_web.cli.data_change import SKIPPED_SHOWN, Dataset
from loravit_web.cli.shell import (
    AsJson,
    CommandFailed,
    Document,
    current_settings,
    details,
    note,
    open_registry,
    open_runs,
    output,
    table,
)
from registry import UnknownDataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loravit_web.datasets import DatasetStore, ImageDataset, Skipped
    from loravit_web.datasets.check import Checked
    from loravit_web.runs.deletion import DatasetDeletion


app = typer.Typer(
    help="Check data before it is imported, and list, show, change, export and delete stored datasets."
)
app.add_typer(data_change.app)
app.add_typer(data_pool.app, name="pool")


@app.command("check")
def check_data(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Folder, zip, tar, table or sample:NAME.")],
    classes_at: ClassesAt = None,
    encoding: NamesEncoding = None,
    column: ColumnChoices = None,
    as_json: AsJson = False,
) -> None:
    """Show what an import would give: classes, what is left out, and what is taken for what.

    Nothing is stored. The exit code is 1 if an import would be refused.
    """
    from loravit_web.datasets.check import check
    from loravit_web.datasets.sources.archives import archive_limits
    from loravit_web.datasets.sources.csv_table.rows import chosen_columns
    from loravit_web.datasets.sources.opening import open_source

    limits = current_settings().limits
    opening = open_source(
        data,
        archive_limits(limits),
        classes_at=classes_level(classes_at),
        encoding=known_encoding(encoding),
        columns=chosen_columns(column or ()),
    )
    checked = check(opening, limits)
    output(as_json, checked_document(checked), lambda: checked_text(checked))
    if checked.error is not None:
        if not as_json:
            print(f"error: {checked.error}", file=sys.stderr)
        raise typer.Exit(1)


@app.command("list")
def list_data(as_json: AsJson = False) -> None:
    """List the stored datasets by title."""
    stored = _stored()
    documents = [_listed_document(stored, fingerprint) for fingerprint in stored.list()]
    documents.sort(key=lambda document: (document["name"] or "", document["dataset"]))
    rows = [
        document
        | {"dataset": document["dataset"][:12], "imported_by": ", ".join(document["imported_by"]) or None}
        for document in documents
    ]
    columns = ["dataset", "name", "revision", "images", "classes", "megabytes", "imported_by"]
    output(as_json, documents, lambda: table(rows, columns, "No stored datasets. Import one in Train."))


@app.command("show")
def show_data(dataset: Dataset, as_json: AsJson = False) -> None:
    """Show a stored dataset: its classes, its imports, and what was trained on it."""
    stored = _stored()
    found = stored.find(dataset)
    document = _listed_document(stored, found.fingerprint) | {
        "changes": None if found.revision is None else found.revision.as_json(),
        "revisions": _revisions(stored, found),
        "class_counts": _class_counts(found),
        "warnings": list(found.warnings),
        "notes": list(found.notes),
        "skipped": _skipped(found.skipped),
        "imports": [
            {
                "by": record.importer or None,
                "name": record.name,
                "at": datetime.fromtimestamp(record.imported_at, timezone.utc).isoformat(timespec="seconds"),
            }
            for record in stored.imports(found.fingerprint)
        ],
        **_used_by(found.fingerprint),
    }
    output(as_json, document, lambda: _shown(document))


@app.command("delete")
def delete_data(
    dataset: Dataset,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be deleted, and what stays.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the images of a stored dataset for everyone. Runs and versions stay."""
    from loravit_web.runs.data_actions import DataActions
    from loravit_web.runs.deletion import dataset_deletion_of

    with open_runs() as registry:
        if dry_run:
            deletion = dataset_deletion_of(registry, _stored(), SHELL, dataset)
        else:
            deletion = DataActions(registry, SHELL, _stored()).delete_dataset(dataset)
    document = {
        "dataset": deletion.fingerprint,
        "name": deletion.name,
        "images": deletion.images,
        "kept": list(deletion.kept),
        "deleted": not dry_run,
    }
    output(as_json, document, lambda: _deletion_text(deletion, dry_run=dry_run))


@app.command("export")
def export_data(
    dataset: Dataset,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Zip to write; an existing one is replaced.")],
    form: Annotated[
        FormName | None,
        typer.Option(
            "--format",
            help="Class folders, a CSV, the Hugging Face Hub's ImageFolder, or COCO. By default folders, "
            "and csv for several labels per image.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export a stored dataset as a zip: images, labels, splits and corrections."""
    from loravit_web.datasets.export.writing import export
    from loravit_web.util.labels import several

    stored = _stored()
    found = stored.find(dataset)
    chosen: FormName = form or ("csv" if several(found.labels) else "folders")
    try:
        exported = export(stored, found, file, chosen)
    except OSError as error:
        raise CommandFailed(
            f"{file} cannot be written ({error.strerror or error}). Choose another file."
        ) from error
    if exported.numbered:
        note("the images are numbered, because an import would take some for other files by their names.")
    if exported.corrections is None:
        note("the dataset before its corrections is no longer stored, so the corrections are not listed.")
    document = {
        "dataset": found.fingerprint,
        "name": found.name,
        "file": str(file),
        "format": chosen,
        "images": exported.images,
        "classes": len(found.classes),
        "numbered": exported.numbered,
        "corrections": None if exported.corrections is None else len(exported.corrections),
    }
    output(as_json, document, lambda: f"Exported {exported.images} images of “{found.name}” to {file}.")


def checked_document(checked: Checked) -> Document:
    """Return the result of a check as JSON-ready values."""
    return {
        "classes": [
            {"name": one.name, "train": one.train, "validation": one.validation, "test": one.test}
            for one in checked.classes
        ],
        "warnings": list(checked.warnings),
        "skipped": _skipped(checked.skipped),
        "error": checked.error,
    }


def checked_text(checked: Checked) -> str:
    """Return the result of a check as text: effects first, then the classes and the skipped files."""
    document = checked_document(checked)
    lines = [f"warning: {warning}" for warning in checked.warnings]
    lines.append(table(document["classes"], ["name", "train", "validation", "test"], "No classes."))
    return "\n".join([*lines, *_skipped_lines(document["skipped"])])


def _stored() -> DatasetStore:
    from loravit_web.datasets import DatasetStore

    return DatasetStore.of(current_settings()).imported_by(SHELL.name)


def _listed_document(stored: DatasetStore, fingerprint: str) -> Document:
    """Return a stored dataset as one flat row, without a name and numbers if it is damaged."""
    from loravit_web.datasets import DatasetDamaged
    from loravit_web.datasets.stored.finding import number_of
    from loravit_web.settings.quota import used

    document: Document = {"dataset": fingerprint, "name": None, "revision": None}
    document |= {"images": None, "classes": None}
    document |= {"labels": None, "source": None, "imported_by": [], "problem": None}
    document["megabytes"] = round(used(stored.root / fingerprint) / 1e6, 1)
    try:
        dataset = stored.load(fingerprint)
        importers = [record.importer for record in stored.imports(fingerprint)]
    except DatasetDamaged as error:
        return document | {"problem": str(error)}
    return document | {
        "name": dataset.name,
        "revision": number_of(dataset),
        "images": len(dataset.items),
        "classes": len(dataset.classes),
        "labels": dataset.labels,
        "source": dataset.source_kind,
        "imported_by": [importer for importer in importers if importer],
    }


def _revisions(stored: DatasetStore, dataset: ImageDataset) -> list[Document]:
    """Return the stored revisions of the same data, the first one first."""
    from loravit_web.datasets.stored.finding import first_of, number_of

    same = [one for one in stored.datasets() if first_of(one) == first_of(dataset)]
    return [
        {
            "revision": number_of(one),
            "dataset": one.fingerprint,
            "images": len(one.items),
            "changes": "" if one.revision is None else one.revision.changes,
        }
        for one in sorted(same, key=number_of)
    ]


def _class_counts(dataset: ImageDataset) -> list[Document]:
    return [
        {"name": name, "train": count["train"], "validation": count["val"], "test": count["test"]}
        for name, count in dataset.counts().items()
    ]


def _skipped(skipped: Sequence[Skipped]) -> list[Document]:
    return [{"path": entry.path, "reason": entry.reason} for entry in skipped]


def _used_by(fingerprint: str) -> Document:
    """Return the newest runs and versions of a dataset."""
    with open_registry() as registry:
        try:
            used = registry.lineage.of_dataset(fingerprint)
        except UnknownDataset:
            return {"runs": [], "versions": []}
    return {"runs": list(used.runs), "versions": list(used.versions)}


def _shown(document: Document) -> str:
    apart = ("class_counts", "warnings", "notes", "skipped", "changes", "revisions")
    lines = [details({key: value for key, value in document.items() if key not in apart})]
    lines += [f"warning: {warning}" for warning in (*document["warnings"], *document["notes"])]
    lines.append(table(document["class_counts"], ["name", "train", "validation", "test"], "No classes."))
    if len(document["revisions"]) > 1:
        rows = [row | {"dataset": row["dataset"][:12]} for row in document["revisions"]]
        lines.append("Revisions\n" + table(rows, ["revision", "dataset", "images", "changes"], ""))
    return "\n".join([*lines, *_skipped_lines(document["skipped"])])


def _skipped_lines(skipped: Sequence[Document]) -> list[str]:
    lines = [f"{len(skipped)} skipped:"] if skipped else []
    lines += [f"  {entry['path']}: {entry['reason']}" for entry in skipped[:SKIPPED_SHOWN]]
    return [*lines, f"  and {len(skipped) - SKIPPED_SHOWN} more"] if len(skipped) > SKIPPED_SHOWN else lines


def _deletion_text(deletion: DatasetDeletion, *, dry_run: bool) -> str:
    done = "would be deleted" if dry_run else "were deleted"
    return "\n".join([f"{deletion.images} image files of “{deletion.name}” {done}.", *deletion.kept])
