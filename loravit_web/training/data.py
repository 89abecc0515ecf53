"""Which images of a dataset are trained on, validated on and tested on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from loravit_web.adapters.files.thumbnail import MAX_IMAGES
from loravit_web.datasets import ImageDataset, ImageItem, stratified_split, stratified_subset
from loravit_web.images.loading import load_stored
from loravit_web.training.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Split:
    """Some images and their classes.

    Attributes:
        paths: of N images.
        labels: int64 (N,).
    """

    paths: tuple[Path, ...]
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The three splits of one run.

    Attributes:
        available: how many training images the dataset offers before any subset was taken.
    """

    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    available: int

    @property
    def note(self) -> str:
        """A sentence when only part of the images is trained on, else nothing."""
        used = len(self.train) + len(self.validation)
        if used == self.available:
            return ""
        return f"Trained and validated on a stratified subset of {used} of {self.available} images."


def split_data(dataset: ImageDataset, recipe: Recipe) -> TrainingData:
    """Split a dataset as the recipe says; the same recipe always gives the same splits.

    The dataset's own validation and test images are honoured whole. Without validation images of its
    own, a stratified part of the training images is held out, after any subset was taken.
    """
    train, validation = dataset.select("train"), dataset.select("val")
    available = len(train) + len(validation)
    if recipe.max_images is not None and len(train) > recipe.max_images:
        train = _pick(train, stratified_subset(_labels(train), recipe.max_images, recipe.seed))
    if not validation:
        kept, held_out = stratified_split(_labels(train), recipe.validation_fraction, recipe.seed)
        train, validation = _pick(train, kept), _pick(train, held_out)
    return TrainingData(
        class_names=dataset.classes,
        train=_split(dataset, train),
        validation=_split(dataset, validation),
        test=_split(dataset, dataset.select("test")),
        available=available,
    )


def examples(data: TrainingData) -> list[Image.Image]:
    """The first training image of each of the first classes, for a thumbnail."""
    first: dict[int, Path] = {}
    for path, label in zip(data.train.paths, data.train.labels.tolist(), strict=True):
        first.setdefault(label, path)
    return [load_stored(first[label]) for label in sorted(first)[:MAX_IMAGES]]


def class_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Weights (C,) of the loss under which every class counts the same, 1 on average over the images."""
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return len(labels) / (classes * counts.float())


def _labels(items: tuple[ImageItem, ...]) -> list[int]:
    return [item.label for item in items]


def _pick(items: tuple[ImageItem, ...], chosen: np.ndarray[Any, np.dtype[Any]]) -> tuple[ImageItem, ...]:
    return tuple(items[i] for i in chosen)


def _split(dataset: ImageDataset, items: tuple[ImageItem, ...]) -> Split:
    return Split(tuple(dataset.image_path(i) for i in items), torch.tensor(_labels(items), dtype=torch.int64))
