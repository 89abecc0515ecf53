"""The manifest of a stored dataset: one JSON file beside its images."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.datasets.givers import read_giver
from loravit_web.datasets.records import ImageDataset, ImageItem, Skipped, fingerprint_of

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1


def write_manifest(dataset: ImageDataset, folder: Path) -> None:
    """Write the manifest into `folder` and make it durable; OSError if that fails."""
    document = {
        "schema": SCHEMA_VERSION,
        "name": dataset.name,
        "source_kind": dataset.source_kind,
        "fingerprint": dataset.fingerprint,
        "classes": dataset.classes,
        "items": [[item.path, item.split, item.label, item.sha256, item.suffix] for item in dataset.items],
        "skipped": [[entry.path, entry.reason] for entry in dataset.skipped],
        "warnings": dataset.warnings,
    }
    with (folder / MANIFEST).open("w", encoding="ascii") as stream:
        stream.write(json.dumps(document, separators=(",", ":")))
        stream.flush()
        os.fsync(stream.fileno())


def read_manifest(folder: Path, fingerprint: str) -> ImageDataset:
    """The dataset in `folder`; DatasetDamaged unless its content really has `fingerprint`."""
    damaged = _damaged(fingerprint)
    try:
        document: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="ascii"))
        dataset = ImageDataset(
            name=document["name"],
            source_kind=document["source_kind"],
            classes=tuple(document["classes"]),
            items=tuple(ImageItem(*fields) for fields in document["items"]),
            skipped=tuple(Skipped(*fields) for fields in document["skipped"]),
            warnings=tuple(document["warnings"]),
            fingerprint=fingerprint,
            root=folder,
            owner=giver.name if (giver := read_giver(folder)) is not None else None,
        )
        known = document["schema"] == SCHEMA_VERSION
        actual = fingerprint_of(dataset.classes, dataset.items, dataset.owner)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged from error
    if not known or actual != fingerprint:
        raise damaged
    return dataset


def read_whole(folder: Path, fingerprint: str) -> ImageDataset:
    """As read_manifest, and DatasetDamaged too if an image is missing or empty, as a power cut leaves it."""
    dataset = read_manifest(folder, fingerprint)
    check_images(dataset)
    return dataset


def check_images(dataset: ImageDataset) -> None:
    """DatasetDamaged if an image is missing or empty."""
    try:
        whole = all(dataset.image_path(item).stat().st_size for item in dataset.items)
    except OSError as error:
        raise _damaged(dataset.fingerprint) from error
    if not whole:
        raise _damaged(dataset.fingerprint)


def _damaged(fingerprint: str) -> DatasetDamaged:
    return DatasetDamaged(
        f"The stored dataset {fingerprint[:12]} is damaged; import the images again to mend it."
    )
