"""Corrections of a dataset: images get another class, are removed or added, which makes its next revision."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from loravit_web.datasets.errors import DatasetError
from loravit_web.datasets.layout.files import suffix_of
from loravit_web.datasets.records import ImageDataset, ImageItem, Split
from loravit_web.datasets.revisions.next import Draft
from loravit_web.datasets.sources.scan import check_classes, clean_class_name, sorted_classes
from loravit_web.datasets.store import DatasetStore
from loravit_web.images.loading import load_rgb
from loravit_web.images.whites import levels_of, whites_of
from loravit_web.util.labels import several

ImageKey = tuple[str, int]
"""SHA-256 of an image, and index of its class."""

Changes = Mapping[ImageKey, str | None]
"""New class by image; None removes the image."""

SEVERAL_LABELS = (
    "Labels of data with several labels per image cannot be changed here. Change the CSV and import it again."
)
"""Why such data cannot be corrected, as sentences."""


class NothingChanged(DatasetError):
    """A correction without any change."""


class SeveralLabels(DatasetError):
    """A correction of a dataset whose images can have several labels."""


class UnknownClass(DatasetError):
    """An addition to a class that the dataset does not have."""


class AlreadyThere(DatasetError):
    """An addition of an image that the dataset has."""


def relabeled(store: DatasetStore, dataset: ImageDataset, changes: Changes) -> ImageDataset:
    """Store a corrected dataset as the next revision.

    An image is changed in every split in which it has that class. A class that loses its last image
    disappears; a new name creates a class.

    Args:
        store: Store of the datasets.
        dataset: Original dataset.
        changes: Changes by image.

    Raises:
        SeveralLabels: If the images can have several labels.
        NothingChanged: If no image is changed.
        DatasetError: If a class would have too few images, or the result cannot be stored.
    """
    if several(dataset.labels):
        raise SeveralLabels(SEVERAL_LABELS)
    kept: dict[tuple[Split, str, str], ImageItem] = {}
    changed: set[ImageKey] = set()
    for item in dataset.items:
        key, current = (item.sha256, item.label), dataset.classes[item.label]
        name = changes.get(key, current)
        name = None if name is None else clean_class_name(name) or current
        if name != current:
            changed.add(key)
        if name is not None:
            kept.setdefault((item.split, name, item.sha256), item)
    if not changed:
        raise NothingChanged("No image was changed. Mark images and give them another class first.")
    check_classes(((split, name) for split, name, _ in kept), max_classes=store.limits.classes)
    classes = sorted_classes(name for _, name, _ in kept)
    label_of = {name: label for label, name in enumerate(classes)}
    items = [replace(item, labels=(label_of[name],)) for (_, name, _), item in kept.items()]
    return store.derive(dataset, Draft(classes, items))


def with_image(store: DatasetStore, dataset: ImageDataset, image: Path, class_name: str) -> ImageDataset:
    """Store a dataset with one more training image as the next revision.

    Args:
        store: Store of the datasets.
        dataset: Original dataset.
        image: File of the image, which is copied.
        class_name: Class of the image, one of those of the dataset.

    Raises:
        SeveralLabels: If the images can have several labels.
        UnknownClass: If there is no such class.
        AlreadyThere: If the dataset has the image.
        ImageError: If the image cannot be read.
        DatasetError: If the result cannot be stored.
    """
    if several(dataset.labels):
        raise SeveralLabels(SEVERAL_LABELS)
    if class_name not in dataset.classes:
        raise UnknownClass(f"The training data has no class “{class_name}”. Choose one of its classes.")
    content = image.read_bytes()
    levels = levels_of(load_rgb(content, max_pixels=store.limits.pixels))
    digest = hashlib.sha256(content).hexdigest()
    there = next((item for item in dataset.items if item.sha256 == digest), None)
    if there is not None:
        name = dataset.classes[there.label]
        raise AlreadyThere(
            f"This image is in the training data already, as “{name}”. To change its class, open the data "
            "in Train and relabel the image in Check."
        )
    added = ImageItem(
        image.name, "train", (dataset.classes.index(class_name),), digest, suffix_of(image.name)
    )
    draft = Draft(
        dataset.classes, [*dataset.items, added], added_whites=whites_of([] if levels is None else [levels])
    )
    return store.derive(dataset, draft, added={digest: image})
