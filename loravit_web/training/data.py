"""Training, validation and test splits of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from loravit_web.adapters.files.thumbnail import MAX_IMAGES
from loravit_web.datasets import ImageDataset, ImageItem, strata, stratified_split, stratified_subset
from loravit_web.images.loading import load_stored
from loravit_web.images.whites import Whites
from loravit_web.training.objective import objective_of
from loravit_web.training.recipe import Recipe
from loravit_web.util.labels import Labels, several


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one split with their labels.

    Attributes:
        paths: Files of the N images.
        labels: Class indices, int64 (N,), or a float32 matrix (N, C) of 0 and 1 for several labels per image.
    """

    paths: tuple[Path, ...]
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The three splits of one run.

    Attributes:
        class_names: Names of the classes by index.
        train: Images to train on.
        validation: Images that choose the best epoch.
        test: Images for the final evaluation; may be empty.
        available: Number of training and validation images of the dataset, before a subset was taken.
        whites: What becomes white in images of more than 8 bits, or None if each is scaled from its own bits.
    """

    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    available: int
    whites: Whites | None = None

    @property
    def labels(self) -> Labels:
        """How many labels an image can have."""
        return objective_of(self.train.labels).labels

    @property
    def fitted(self) -> Split:
        """Training and validation images, on which the final probe is fitted."""
        paths = (*self.train.paths, *self.validation.paths)
        return Split(paths, torch.cat([self.train.labels, self.validation.labels]))

    @property
    def note(self) -> str:
        """A sentence for a run that uses only a subset of the images, otherwise an empty string."""
        used = len(self.train) + len(self.validation)
        if used == self.available:
            return ""
        return f"Trained and validated on a stratified subset of {used} of {self.available} images."


def split_data(dataset: ImageDataset, recipe: Recipe) -> TrainingData:
    """Split a dataset according to a recipe; equal recipes give equal splits.

    The dataset's own validation and test images are used completely. If it has no validation images, a
    stratified part of the training images is held out, after a subset was taken.

    Args:
        dataset: Imported dataset.
        recipe: Recipe of the run.
    """
    train, validation = dataset.select("train"), dataset.select("val")
    available = len(train) + len(validation)
    if recipe.max_images is not None and len(train) > recipe.max_images:
        train = _pick(train, stratified_subset(_strata(train), recipe.max_images, recipe.seed))
    if not validation:
        kept, held_out = stratified_split(_strata(train), recipe.validation_fraction, recipe.seed)
        train, validation = _pick(train, kept), _pick(train, held_out)
    return TrainingData(
        class_names=dataset.classes,
        train=_split(dataset, train),
        validation=_split(dataset, validation),
        test=_split(dataset, dataset.select("test")),
        available=available,
        whites=None if dataset.whites is None or dataset.whites.is_empty else dataset.whites,
    )


def examples(data: TrainingData) -> list[Image.Image]:
    """Return the first training image of each of the first classes, for a thumbnail."""
    first: dict[int, Path] = {}
    label_sets = objective_of(data.train.labels).label_sets(data.train.labels)
    for path, labels in zip(data.train.paths, label_sets, strict=True):
        for label in labels:
            first.setdefault(label, path)
    return [load_stored(first[label]) for label in sorted(first)[:MAX_IMAGES]]


def targets_of(dataset: ImageDataset, items: Sequence[ImageItem]) -> torch.Tensor:
    """Return the labels of images as `Split` holds them."""
    if not several(dataset.labels):
        return torch.tensor([item.label for item in items], dtype=torch.int64)
    targets = torch.zeros(len(items), len(dataset.classes))
    for row, item in zip(targets, items, strict=True):
        row[list(item.labels)] = 1.0
    return targets


def _strata(items: tuple[ImageItem, ...]) -> list[int]:
    return strata(item.labels for item in items)


def _pick(items: tuple[ImageItem, ...], chosen: np.ndarray[Any, np.dtype[Any]]) -> tuple[ImageItem, ...]:
    return tuple(items[i] for i in chosen)


def _split(dataset: ImageDataset, items: tuple[ImageItem, ...]) -> Split:
    return Split(tuple(dataset.image_path(i) for i in items), targets_of(dataset, items))
