"""Correcting a dataset: some images get another class or are left out, and that is another dataset."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from loravit_web.datasets.errors import DatasetError
from loravit_web.datasets.records import ImageDataset, ImageItem, Split
from loravit_web.datasets.sources.scan import check_classes, clean_class_name, sorted_classes
from loravit_web.datasets.store import MAX_NAME, DatasetStore

ImageKey = tuple[str, int]
"""SHA-256 of an image and index of the class that it is under."""

Changes = Mapping[ImageKey, str | None]
"""The new class of images; None leaves an image out."""

_LINEAGE = re.compile(r" \(\d+ changed from [0-9a-f]{8}\)$")


class NothingChanged(DatasetError):
    """A correction that corrects nothing."""


def relabelled(store: DatasetStore, dataset: ImageDataset, changes: Changes) -> ImageDataset:
    """Store the dataset with its corrections; its name says what it was made from.

    An image is changed in every split where it is under that class. A class that loses its last image
    disappears; a new name makes a new class.

    Raises:
        NothingChanged: if no image is changed.
        DatasetError: if a class would have too few images left, or the result can't be stored.
    """
    kept: dict[tuple[Split, str, str], ImageItem] = {}
    changed: set[ImageKey] = set()
    for item in dataset.items:
        key, now = (item.sha256, item.label), dataset.classes[item.label]
        name = changes.get(key, now)
        name = None if name is None else clean_class_name(name) or now
        if name != now:
            changed.add(key)
        if name is not None:
            kept.setdefault((item.split, name, item.sha256), item)
    if not changed:
        raise NothingChanged("Nothing was changed yet: mark images and give them another class first.")
    check_classes(((split, name) for split, name, _ in kept), most=store.limits.classes)
    classes = sorted_classes(name for _, name, _ in kept)
    label_of = {name: label for label, name in enumerate(classes)}
    items = [replace(item, label=label_of[name]) for (_, name, _), item in kept.items()]
    lineage = f" ({len(changed)} changed from {dataset.fingerprint[:8]})"
    original = _LINEAGE.sub("", dataset.name)
    return store.derive(dataset, classes, items, original[: MAX_NAME - len(lineage)] + lineage)
