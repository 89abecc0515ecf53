"""Image datasets from the Hugging Face Hub, read with the optional package ``datasets``."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from loravit_web.datasets.errors import HubDatasetUnusable, HubPackageMissing, TooManyEntries
from loravit_web.datasets.layout.plan import Placement, Plan
from loravit_web.datasets.layout.words import split_of
from loravit_web.datasets.records import Skipped
from loravit_web.datasets.sources.archives import DEFAULT_LIMITS, MIB, ArchiveLimits
from loravit_web.datasets.sources.opening import FileUnusableError, Source
from loravit_web.datasets.sources.scan import clean_class_name
from loravit_web.images.loading import MAX_PIXELS

LoadHub = Callable[[str], Mapping[str, Any]]
"""Returns a dataset's splits by name; each has ``features``, ``len`` and rows by index."""

_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class _Row:
    rows: Any
    number: int
    column: str


def from_hub(name: str, load: LoadHub | None = None, limits: ArchiveLimits = DEFAULT_LIMITS) -> Source:
    """Return a source of a dataset on the Hub.

    Args:
        name: Name of the dataset, ``owner/name``.
        load: Loads a dataset, for tests; None to use the package ``datasets``.
        limits: Limits of the import.

    Raises:
        HubPackageMissing: If the package is not installed.
        HubDatasetUnusable: If the dataset cannot be loaded or has no labeled images.
        TooManyEntries: If it has too many images.
    """
    name = name.strip()
    if not _ID.fullmatch(name):
        raise HubDatasetUnusable(f"“{name[:80]}” is not the name of a dataset. Enter it as owner/name.")
    try:
        splits = (load or _load)(name)
    except HubPackageMissing:
        raise
    except Exception as error:
        raise HubDatasetUnusable(
            f"The dataset “{name}” cannot be loaded ({type(error).__name__}). Check its name and the network."
        ) from error
    rows: list[_Row] = []
    placements: list[Placement] = []
    skipped: list[Skipped] = []
    for split, table in splits.items():
        meant = split_of(split)
        if meant is None:
            skipped.append(Skipped(split, "this split is not train, validation or test"))
            continue
        image, label = _columns(name, table.features)
        names = table.features[label].names
        if len(rows) + len(table) > limits.max_entries:
            raise TooManyEntries(
                f"The dataset “{name}” has more than {limits.max_entries} images. Choose a smaller one."
            )
        for number, target in enumerate(table[label]):
            path = f"{split}/{number}.png"
            if not 0 <= target < len(names):
                skipped.append(Skipped(path, "it has no label"))
                continue
            placements.append(Placement(len(rows), path, meant, (clean_class_name(names[target]),)))
            rows.append(_Row(table, number, image))
    plan = Plan(tuple(placements), tuple(skipped))
    return Source(name, "folder", plan, lambda index: _read(rows[index], limits.max_file_bytes))


def _load(name: str) -> Mapping[str, Any]:
    try:
        package = importlib.import_module("datasets")
    except ImportError as error:
        raise HubPackageMissing(
            "Datasets from the Hub need the package datasets. Install it with pip install datasets."
        ) from error
    splits: Mapping[str, Any] = package.load_dataset(name)
    return splits


def _columns(name: str, features: Mapping[str, Any]) -> tuple[str, str]:
    images = _of_kind(features, "Image")
    labels = _of_kind(features, "ClassLabel")
    if len(images) != 1 or not labels:
        raise HubDatasetUnusable(
            f"The dataset “{name}” does not have exactly one column of images and a column of labels. "
            "Choose a dataset for image classification."
        )
    return images[0], labels[0]


def _of_kind(features: Mapping[str, Any], kind: str) -> Sequence[str]:
    return [column for column, feature in features.items() if type(feature).__name__ == kind]


def _read(row: _Row, max_bytes: int) -> bytes:
    """Return an image as a lossless file."""
    try:
        image = row.rows[row.number][row.column]
        if image.width * image.height > MAX_PIXELS:  # the image is decoded when it is converted
            raise FileUnusableError(f"the image has more than {MAX_PIXELS / 1e6:g} million pixels")
        rgb = image.convert("RGB")
    except (OSError, ValueError, AttributeError) as error:
        raise FileUnusableError("it cannot be decoded") from error
    buffer = BytesIO()
    rgb.save(buffer, "PNG", compress_level=0)
    if buffer.tell() > max_bytes:
        raise FileUnusableError(f"the image is larger than {max_bytes / MIB:g} MiB")
    return buffer.getvalue()
