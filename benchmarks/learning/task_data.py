"""The tasks of ``python -m benchmarks tasks``, each a few hundred pictures split in three."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loravit_web.datasets import DatasetStore, ImageDataset, ImageItem, stratified_split, stratified_subset
from loravit_web.training.data import Split, TrainingData

SEED = 0
SHOTS = 10
_TEST_FRACTION = 0.25
_VALIDATION_FRACTION = 0.2


def tasks_data(
    folder: Path, *, cifar: Path | None, tiles: Path | None, images: int, test_images: int
) -> dict[str, TrainingData]:
    """The data of each task by its name; tasks whose zip is not given are left out.

    Args:
        folder: where to import and draw.
        images: training and validation pictures of a task.
    """
    store = DatasetStore(folder / "datasets")
    result = {}
    if cifar is not None:
        photographs = store.import_source(cifar)
        result["photographs"] = _split(photographs, images, test_images)
        shots = round(SHOTS * len(photographs.classes) / (1 - _VALIDATION_FRACTION))
        result["few-shot"] = _split(photographs, shots, test_images)
    result["digits"] = _split(store.import_source("sample:digits"), images, test_images)
    if tiles is not None:
        result["defects"] = _split(store.import_source(tiles), images, test_images)
    result["scenes"] = _split(store.import_source("sample:counts"), images, test_images)
    return result


def _split(dataset: ImageDataset, images: int, test_images: int) -> TrainingData:
    """Stratified subsets; the test pictures are the dataset's own where it has some, else held out."""
    rest, test = dataset.select("train"), dataset.select("test")
    available = len(rest)
    if not test:
        fraction = min(max(_TEST_FRACTION, test_images / available), 0.5)
        kept, held_out = stratified_split(_labels(rest), fraction, SEED)
        rest, test = _pick(rest, kept), _pick(rest, held_out)
    test = _pick(test, stratified_subset(_labels(test), test_images, SEED))
    rest = _pick(rest, stratified_subset(_labels(rest), images, SEED))
    kept, held_out = stratified_split(_labels(rest), _VALIDATION_FRACTION, SEED)
    parts = (_pick(rest, kept), _pick(rest, held_out), test)
    train, validation, tested = (_as_split(dataset, part) for part in parts)
    return TrainingData(dataset.classes, train, validation, tested, available)


def _labels(items: Sequence[ImageItem]) -> list[int]:
    return [item.label for item in items]


def _pick(items: Sequence[ImageItem], chosen: np.ndarray[Any, np.dtype[Any]]) -> tuple[ImageItem, ...]:
    return tuple(items[index] for index in chosen)


def _as_split(dataset: ImageDataset, items: Sequence[ImageItem]) -> Split:
    return Split(tuple(dataset.image_path(item) for item in items), torch.tensor(_labels(items)))
