"""What a dataset is once it is stored: plain, frozen, without behaviour beyond look-ups."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]
SourceKind = Literal["folder", "zip", "csv", "sample"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class ImageItem:
    """One stored image; `path` is where the user had it, with forward slashes, and only for show."""

    path: str
    split: Split
    label: int
    sha256: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """One file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """A stored dataset; `classes[item.label]` names an item's class, `root` is its folder.

    `owner` is the visitor to whom it belongs alone, None where it is the app's.
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

    def image_path(self, item: ImageItem) -> Path:
        """Where the bytes of `item` lie."""
        return self.root / relative_image_path(item.sha256, item.suffix)

    def counts(self) -> dict[str, dict[Split, int]]:
        """Number of images per class, then per split; splits without images count 0."""
        table = [dict.fromkeys(SPLITS, 0) for _ in self.classes]
        for item in self.items:
            table[item.label][item.split] += 1
        return dict(zip(self.classes, table, strict=True))

    def select(self, split: Split) -> tuple[ImageItem, ...]:
        """The items of one split, in stored order."""
        return tuple(item for item in self.items if item.split == split)


def relative_image_path(sha256: str, suffix: str) -> str:
    """The content address of an image below its dataset's folder."""
    return f"images/{sha256[:2]}/{sha256}{suffix}"


def fingerprint_of(classes: Sequence[str], items: Iterable[ImageItem], owner: str | None = None) -> str:
    """SHA-256 (hex) of the classes in order and every (split, class, content), whatever the file names.

    The owner is part of it, so that the same images of two visitors are two datasets.
    """
    members = sorted([item.split, item.label, item.sha256] for item in items)
    content: dict[str, object] = {"classes": list(classes), "images": members}
    if owner is not None:
        content["owner"] = owner
    document = json.dumps(content, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(document.encode("ascii")).hexdigest()
