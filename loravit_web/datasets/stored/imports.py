"""Imports of a dataset: its images are stored once, and each person who imports them has their own names.

Beside the manifest, a file for each person holds the title, the file names and the skipped files of that
person's last import.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.datasets.records import ImageDataset, ImageItem, Skipped, SourceKind
from loravit_web.datasets.revisions.record import Revision
from loravit_web.util.files import write_atomic

IMPORTS = "imports"
"""Name of the folder."""
APP_IMPORTS = ""
"""Importer of what the app imports, and of datasets that were stored before importers were recorded."""


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """What one person called a dataset and its images.

    Attributes:
        importer: Name of the person; `APP_IMPORTS` for the app.
        name: Name of the dataset.
        source_kind: Kind of the source.
        imported_at: Time of the import in seconds since the epoch.
        paths: Paths of the images at the person's side, in the order of `canonical`.
        skipped: Files that the import skipped.
        warnings: Warnings of the import, as sentences.
        notes: What the import took for what, as sentences.
        revision: Its place among the person's revisions of the same data, or None.
    """

    importer: str
    name: str
    source_kind: SourceKind
    imported_at: float
    paths: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    revision: Revision | None = None


def record_of(dataset: ImageDataset, importer: str, imported_at: float) -> ImportRecord:
    """Return the names of a dataset as a person's import.

    Args:
        dataset: Dataset as the person imported it.
        importer: Name of the person.
        imported_at: Time of the import in seconds since the epoch.
    """
    return ImportRecord(
        importer=importer,
        name=dataset.name,
        source_kind=dataset.source_kind,
        imported_at=imported_at,
        paths=tuple(item.path for item in canonical(dataset.items)),
        skipped=dataset.skipped,
        warnings=dataset.warnings,
        notes=dataset.notes,
        revision=dataset.revision,
    )


def named(dataset: ImageDataset, record: ImportRecord) -> ImageDataset:
    """Return a stored dataset with the names of an import; its images keep their order.

    Raises:
        DatasetDamaged: If the import does not belong to these images.
    """
    if len(record.paths) != len(dataset.items):
        raise _damaged(dataset.root)
    places = {_key(item): path for item, path in zip(canonical(dataset.items), record.paths, strict=True)}
    return replace(
        dataset,
        name=record.name,
        source_kind=record.source_kind,
        items=tuple(replace(item, path=places[_key(item)]) for item in dataset.items),
        skipped=record.skipped,
        warnings=record.warnings,
        notes=record.notes,
        revision=record.revision,
    )


def canonical(items: Sequence[ImageItem]) -> list[ImageItem]:
    """Return images in an order that depends on their content alone, which is the same for all importers."""
    return sorted(items, key=_key)


def write_import(folder: Path, record: ImportRecord) -> int:
    """Write an import to the folder of its dataset atomically, and return its size in bytes.

    Raises:
        OSError: If the file cannot be written.
    """
    document = {
        "importer": record.importer,
        "name": record.name,
        "source_kind": record.source_kind,
        "imported_at": record.imported_at,
        "paths": record.paths,
        "skipped": [[entry.path, entry.reason] for entry in record.skipped],
        "warnings": record.warnings,
        "notes": record.notes,
        "revision": None if record.revision is None else record.revision.as_json(),
    }
    content = json.dumps(document, separators=(",", ":")).encode("ascii")
    path = _path(folder, record.importer)
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, content)
    return len(content)


def read_import(folder: Path, importer: str) -> ImportRecord | None:
    """Return a person's import of the dataset in a folder, or None if the person never imported it.

    Raises:
        DatasetDamaged: If the file cannot be read.
    """
    path = _path(folder, importer)
    return _read(path) if path.exists() else None


def read_imports(folder: Path) -> list[ImportRecord]:
    """Return all imports of the dataset in a folder, by name of the person.

    Raises:
        DatasetDamaged: If a file cannot be read.
    """
    return sorted(map(_read, (folder / IMPORTS).glob("*.json")), key=lambda record: record.importer)


def remove_import(folder: Path, importer: str) -> None:
    """Remove a person's import of the dataset in a folder.

    Raises:
        OSError: If the file cannot be removed.
    """
    _path(folder, importer).unlink(missing_ok=True)


def _path(folder: Path, importer: str) -> Path:
    # a name may have characters that a file's cannot have
    return folder / IMPORTS / f"{hashlib.sha256(importer.encode()).hexdigest()[:32]}.json"


def _read(path: Path) -> ImportRecord:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
        return ImportRecord(
            importer=document["importer"],
            name=document["name"],
            source_kind=document["source_kind"],
            imported_at=document["imported_at"],
            paths=tuple(document["paths"]),
            skipped=tuple(Skipped(*fields) for fields in document["skipped"]),
            warnings=tuple(document["warnings"]),
            notes=tuple(document["notes"]),
            revision=Revision.from_json(document.get("revision")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path.parent.parent) from error


def _damaged(folder: Path) -> DatasetDamaged:
    return DatasetDamaged(
        f"The names of the stored dataset {folder.name[:12]} are damaged. Import the images again to repair "
        "them."
    )


def _key(item: ImageItem) -> tuple[str, tuple[int, ...], str]:
    return item.split, item.labels, item.sha256
