"""Writing of a stored dataset as a zip, which is read back before it is handed out."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from loravit_web.datasets.errors import DatasetError, NotExportable
from loravit_web.datasets.export.corrections import Correction, corrections_of
from loravit_web.datasets.export.forms import WRITERS, Form, missing_image
from loravit_web.datasets.export.names import paths_of
from loravit_web.datasets.records import ImageDataset
from loravit_web.datasets.similar import matched_across_splits
from loravit_web.datasets.sources.archives import ArchiveLimits
from loravit_web.datasets.sources.opening import open_source
from loravit_web.datasets.store import DatasetStore

ABOUT = "dataset.json"
"""File in the zip with what no form holds."""
_DATE = (1980, 1, 1, 0, 0, 0)
_MORE_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported dataset.

    Attributes:
        path: The zip.
        images: Number of images.
        numbered: Whether the images are numbered, because the form could not hold their names.
        corrections: What was corrected, or None if the dataset before the corrections is no longer stored.
    """

    path: Path
    images: int
    numbered: bool
    corrections: tuple[Correction, ...] | None


def export(store: DatasetStore, dataset: ImageDataset, target: Path, form: Form) -> Exported:
    """Write a dataset as a zip. Its classes, splits and labels are read back from the zip and compared.

    Args:
        store: Store of the dataset.
        dataset: The dataset.
        target: File to write; an existing one is replaced.
        form: Form of the zip.

    Raises:
        NotExportable: If the form cannot hold this dataset.
        DatasetDamaged: If an image is missing.
        OSError: If the file cannot be written. Nothing is left of it then.
    """
    writer = WRITERS[form]
    writer.check(dataset)
    corrections = corrections_of(dataset, store)
    about = _about(dataset, corrections)
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.zip")
    try:
        for numbered in (False, True):
            paths = paths_of(dataset.items, writer.folders(dataset), numbered=numbered)
            texts = {**writer.texts(dataset, paths), ABOUT: about}
            _write(dataset, temporary, paths, texts)
            if _is_read_back(dataset, temporary, paths):
                temporary.replace(target)
                return Exported(target, len(dataset.items), numbered, corrections)
    finally:
        with suppress(OSError):
            temporary.unlink()
    others = ", ".join(other for other in WRITERS if other != form)
    raise NotExportable(
        f"The format {form} cannot hold the labels of “{dataset.name}”. Use another one: {others}."
    )


def _about(dataset: ImageDataset, corrections: Sequence[Correction] | None) -> bytes:
    document = {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "labels": dataset.labels,
        "classes": dataset.classes,
        "corrections": None if corrections is None else [asdict(one) for one in corrections],
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _write(dataset: ImageDataset, target: Path, paths: Sequence[str], texts: Mapping[str, bytes]) -> None:
    """Write the zip. Images are not compressed again."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path, content in texts.items():
            archive.writestr(_info(path), content, compress_type=zipfile.ZIP_DEFLATED)
        for item, path in zip(dataset.items, paths, strict=True):
            try:
                stored = dataset.image_path(item).open("rb")
            except FileNotFoundError as error:
                raise missing_image(dataset.fingerprint) from error
            with stored, archive.open(_info(path), "w") as entry:
                shutil.copyfileobj(stored, entry)
    with target.open("rb") as written:
        os.fsync(written.fileno())


def _info(path: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, _DATE)
    info.external_attr = 0o100644 << 16
    return info


def _is_read_back(dataset: ImageDataset, target: Path, paths: Sequence[str]) -> bool:
    """Return whether an import finds all images in a zip with their splits and classes."""
    wanted = Counter(
        (path, item.split, tuple(sorted(dataset.names_of(item))))
        for item, path in zip(dataset.items, paths, strict=True)
    )
    limits = ArchiveLimits(max_entries=len(paths) + _MORE_ENTRIES)
    try:
        with open_source(target, limits) as source:
            placements, _notes = matched_across_splits(source.plan.placements)
    except DatasetError:
        return False
    found = Counter((place.path, place.split, tuple(sorted(place.class_names))) for place in placements)
    return found == wanted and source.plan.labels == dataset.labels
