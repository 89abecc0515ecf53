"""Manifest of a stored dataset: a JSON file beside its images."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.datasets.records import ImageDataset, ImageItem, Skipped, fingerprint_of, stored_labels
from loravit_web.datasets.revisions.record import Revision
from loravit_web.datasets.stored.uploaders import read_uploader
from loravit_web.images.whites import Whites
from loravit_web.util.labels import LABELS, Labels, several

MANIFEST = "manifest.json"
SCHEMAS: Mapping[Labels, int] = {"one": 1, "many": 2}
"""Version of the format by the number of labels; earlier versions of the app read the first one alone."""
WHITES_SCHEMA = 3
"""Version of the format of datasets with images of more than 8 bits.

Earlier versions of the app would scale each image from its own bits.
"""


def write_manifest(dataset: ImageDataset, folder: Path) -> None:
    """Write the manifest of a dataset to ``folder`` atomically and flush it to disk.

    Raises:
        OSError: If the file cannot be written.
    """
    document = {
        "schema": _schema(dataset),
        "name": dataset.name,
        "source_kind": dataset.source_kind,
        "fingerprint": dataset.fingerprint,
        "classes": dataset.classes,
        "items": [
            [item.path, item.split, stored_labels(item, dataset.labels), item.sha256, item.suffix]
            for item in dataset.items
        ],
        "skipped": [[entry.path, entry.reason] for entry in dataset.skipped],
        "warnings": dataset.warnings,
        "labels": dataset.labels,
        "notes": dataset.notes,
        "revision": None if dataset.revision is None else dataset.revision.as_json(),
        "whites": None if dataset.whites is None else dataset.whites.as_json(),
    }
    temporary = folder / f".{MANIFEST}.{uuid4().hex}.tmp"
    with temporary.open("x", encoding="ascii") as stream:
        stream.write(json.dumps(document, separators=(",", ":")))
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(folder / MANIFEST)


def read_manifest(folder: Path, fingerprint: str) -> ImageDataset:
    """Return the dataset in ``folder``.

    Args:
        folder: Folder of the dataset.
        fingerprint: Fingerprint that the content must have.

    Raises:
        DatasetDamaged: If the manifest cannot be read or has another fingerprint.
    """
    damaged = _damaged(fingerprint)
    try:
        document: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="ascii"))
        labels: Labels = document.get("labels", "one")  # earlier versions of the app do not write it
        dataset = ImageDataset(
            name=document["name"],
            source_kind=document["source_kind"],
            classes=tuple(document["classes"]),
            items=tuple(_item(fields, labels) for fields in document["items"]),
            skipped=tuple(Skipped(*fields) for fields in document["skipped"]),
            warnings=tuple(document["warnings"]),
            fingerprint=fingerprint,
            root=folder,
            owner=uploader.name if (uploader := read_uploader(folder)) is not None else None,
            labels=labels,
            notes=tuple(document.get("notes", ())),
            revision=Revision.from_json(document.get("revision")),
            whites=Whites.from_json(document.get("whites")),
        )
        known = labels in LABELS and document["schema"] in (SCHEMAS[labels], WHITES_SCHEMA)
        actual = fingerprint_of(dataset.classes, dataset.items, dataset.owner, labels)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged from error
    if not known or actual != fingerprint:
        raise damaged
    return dataset


def _schema(dataset: ImageDataset) -> int:
    return SCHEMAS[dataset.labels] if dataset.whites is None or dataset.whites.is_empty else WHITES_SCHEMA


def _item(fields: list[Any], labels: Labels) -> ImageItem:
    path, split, stored, sha256, suffix = fields
    return ImageItem(path, split, tuple(stored) if several(labels) else (stored,), sha256, suffix)


def read_complete(folder: Path, fingerprint: str) -> ImageDataset:
    """Return the dataset in ``folder`` after checking that its images exist; see `read_manifest`.

    Raises:
        DatasetDamaged: If the manifest is damaged, or an image is missing or empty, as after a power failure.
    """
    dataset = read_manifest(folder, fingerprint)
    check_images(dataset)
    return dataset


def check_images(dataset: ImageDataset) -> None:
    """Check that no image of a dataset is missing or empty.

    Raises:
        DatasetDamaged: If an image is missing or empty.
    """
    try:
        complete = all(dataset.image_path(item).stat().st_size for item in dataset.items)
    except OSError as error:
        raise _damaged(dataset.fingerprint) from error
    if not complete:
        raise _damaged(dataset.fingerprint)


def _damaged(fingerprint: str) -> DatasetDamaged:
    return DatasetDamaged(
        f"The stored dataset {fingerprint[:12]} is damaged. Import the images again to repair it."
    )
