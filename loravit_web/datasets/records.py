"""Records of stored datasets: frozen dataclasses with look-ups only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loravit_web.datasets.revisions.record import Revision, title_of
from loravit_web.images.whites import Whites
from loravit_web.util.labels import Labels, several

Split = Literal["train", "val", "test"]
SourceKind = Literal["folder", "zip", "tar", "csv", "parquet", "sample"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")

MAX_NAME = 80
"""Maximum length of a dataset's name in characters."""


@dataclass(frozen=True, slots=True)
class ImageItem:
    """One stored image.

    Attributes:
        path: Path at the user's side with forward slashes, for display only.
        split: Split of the image.
        labels: Indices of its classes, ascending; exactly one if the images of the dataset have one label.
        sha256: Hash of the file.
        suffix: File suffix in lower case.
    """

    path: str
    split: Split
    labels: tuple[int, ...]
    sha256: str
    suffix: str

    @property
    def label(self) -> int:
        """Index of its only class.

        Raises:
            ValueError: If the image has no label or several.
        """
        (label,) = self.labels
        return label


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was skipped.

    Attributes:
        path: Path of the file.
        reason: Reason, as a phrase.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """A stored dataset.

    Attributes:
        name: Name of the dataset.
        source_kind: Kind of the source that it was imported from.
        classes: Names of the classes by label.
        items: Images of all splits.
        skipped: Files that the import skipped.
        warnings: Warnings of the import, as sentences.
        fingerprint: Hash of classes and images; see `fingerprint_of`.
        root: Folder of the dataset.
        owner: Name of the visitor who owns the dataset, or None if it belongs to the app.
        labels: How many labels an image can have.
        notes: What the import took for what, as sentences.
        revision: Its place among the revisions of the same data, or None if it is as it was imported.
        whites: What becomes white in images of more than 8 bits, or None if an earlier version of the app
            imported them; each is scaled from its own bits then.
    """

    name: str
    source_kind: SourceKind
    classes: tuple[str, ...]
    items: tuple[ImageItem, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    fingerprint: str
    root: Path
    owner: str | None = None
    labels: Labels = "one"
    notes: tuple[str, ...] = ()
    revision: Revision | None = None
    whites: Whites | None = None

    @property
    def title(self) -> str:
        """Name of the dataset with the number of its revision, such as ``pets, revision 2``."""
        return title_of(self.name, self.revision)

    def image_path(self, item: ImageItem) -> Path:
        """Return the file of an image."""
        return self.root / relative_image_path(item.sha256, item.suffix)

    def counts(self) -> dict[str, dict[Split, int]]:
        """Return the number of images by class and split, 0 for splits without images.

        An image with several labels counts in each of its classes.
        """
        table = [dict.fromkeys(SPLITS, 0) for _ in self.classes]
        for item in self.items:
            for label in item.labels:
                table[label][item.split] += 1
        return dict(zip(self.classes, table, strict=True))

    def names_of(self, item: ImageItem) -> tuple[str, ...]:
        """Return the names of an image's classes."""
        return tuple(self.classes[label] for label in item.labels)

    def select(self, split: Split) -> tuple[ImageItem, ...]:
        """Return the images of one split in stored order."""
        return tuple(item for item in self.items if item.split == split)


def relative_image_path(sha256: str, suffix: str) -> str:
    """Return the content-addressed path of an image relative to its dataset's folder."""
    return f"images/{sha256[:2]}/{sha256}{suffix}"


def stored_labels(item: ImageItem, labels: Labels) -> int | list[int]:
    """Return the labels of an image as they are stored: a list if it can have several, else a number."""
    return list(item.labels) if several(labels) else item.label


def fingerprint_of(
    classes: Sequence[str], items: Iterable[ImageItem], owner: str | None = None, labels: Labels = "one"
) -> str:
    """Return the SHA-256 (hex) of the classes and of every (split, class, content); file names do not matter.

    The owner is included, so the same images of two visitors are two datasets.

    Args:
        classes: Names of the classes by label.
        items: Images of all splits.
        owner: Name of the owner, or None.
        labels: How many labels an image can have.
    """
    members = sorted([item.split, stored_labels(item, labels), item.sha256] for item in items)
    content: dict[str, object] = {"classes": list(classes), "images": members}
    if several(labels):
        content["labels"] = labels
    if owner is not None:
        content["owner"] = owner
    document = json.dumps(content, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(document.encode("ascii")).hexdigest()
