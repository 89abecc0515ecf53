"""The tasks of ``python -m benchmarks tasks``, and the images of each seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from loravit_web.datasets import (
    DatasetStore,
    ImageDataset,
    ImageItem,
    strata,
    stratified_split,
    stratified_subset,
)
from loravit_web.training.data import Split, TrainingData, targets_of

ZIPS: Mapping[str, str] = MappingProxyType(
    {
        "cifar": "cifar10.zip",
        "tiles": "magnetic-tiles.zip",
        "groceries": "groceries.zip",
        "dogs-cats": "dogs-cats.zip",
    }
)
"""File in the data folder by the name of its option."""
TAG_SCENES = "scenes with several shapes"
"""Source that the benchmark draws itself; see `tag_scenes.write_tag_scenes`."""
VALIDATION_FRACTION = 0.2
_TEST_SEED = 0
_TEST_FRACTION = 0.25
_SHOTS = 10
_MOST, _FEWEST = 120, 6

Counts = Callable[[int], tuple[int, ...]]
"""Returns the number of training and validation images of each class for a number of classes."""


def few_shot(classes: int) -> tuple[int, ...]:
    """Return ten images for each class."""
    return (_SHOTS,) * classes


def imbalanced(classes: int) -> tuple[int, ...]:
    """Return 120 images for the first class, 6 for the last, and a geometric sequence in between."""
    return tuple(round(float(count)) for count in np.geomspace(_MOST, _FEWEST, classes))


@dataclass(frozen=True)
class Task:
    """One task of the benchmark.

    Attributes:
        source: Key of `ZIPS`, ``sample:NAME``, or `TAG_SCENES`.
        mirror: Whether mirrored images keep their class.
        counts: Number of images by class, or None for a stratified subset of each size.
        several: Whether an image has several labels. Such a task is scored by its mean average precision, and
            only by ways that can learn it.
    """

    source: str
    mirror: bool = True
    counts: Counts | None = None
    several: bool = False


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "CIFAR-10": Task("cifar"),
        "tiles": Task("tiles", mirror=False),
        "groceries": Task("groceries"),
        "dogs-cats": Task("dogs-cats"),
        "digits": Task("sample:digits", mirror=False),
        "shapes": Task("sample:shapes"),
        "counts": Task("sample:counts", mirror=False),
        "textures": Task("sample:textures"),
        "few-shot": Task("cifar", counts=few_shot),
        "imbalanced": Task("cifar", counts=imbalanced),
        "tags": Task(TAG_SCENES, several=True),
    }
)


@dataclass(frozen=True, eq=False)
class Cell:
    """One task at one size with one seed.

    Attributes:
        task: Name of the task.
        size: Number of training and validation images that was asked for.
        seed: Seed of the images, of their split and of the training.
        mirror: Whether mirrored images keep their class.
        data: Splits of the cell.
    """

    task: str
    size: int
    seed: int
    mirror: bool
    data: TrainingData


class TaskImages:
    """Imported datasets, each split once into test images and the images to choose from.

    Args:
        folder: Folder to import into.
        sources: Path or ``sample:NAME`` by `Task.source`.
        test_images: Maximum number of test images of a task, the same for all seeds and sizes.
    """

    def __init__(self, folder: Path, sources: Mapping[str, str], test_images: int) -> None:
        self.store, self.sources, self.test_images = DatasetStore(folder), sources, test_images
        self._datasets: dict[str, ImageDataset] = {}

    def cells(self, tasks: Sequence[str], sizes: Sequence[int], seeds: int) -> Iterator[Cell]:
        """Yield the cells seed by seed, so that an interrupted run has every task.

        Args:
            tasks: Names of tasks with a source.
            sizes: Numbers of training and validation images. A task with fewer images uses all of them, and
                a task with counts by class has one size of its own.
            seeds: Number of seeds.
        """
        for seed in range(seeds):
            for name in tasks:
                counts = TASKS[name].counts
                own = () if counts is None else counts(len(self._dataset(name).classes))
                for size in sizes if counts is None else (sum(own),):
                    yield self._cell(name, size, seed, own)

    def _dataset(self, task: str) -> ImageDataset:
        source = TASKS[task].source
        if source not in self._datasets:
            self._datasets[source] = self.store.import_source(self.sources[source])
        return self._datasets[source]

    def _cell(self, name: str, size: int, seed: int, counts: tuple[int, ...]) -> Cell:
        dataset = self._dataset(name)
        available, test = self._available_and_test(dataset)
        labels = _labels(available)
        chosen = _by_class(labels, counts, seed) if counts else stratified_subset(labels, size, seed)
        items = _pick(available, chosen)
        kept, held_out = stratified_split(_labels(items), VALIDATION_FRACTION, seed)
        data = TrainingData(
            class_names=dataset.classes,
            train=_as_split(dataset, _pick(items, kept)),
            validation=_as_split(dataset, _pick(items, held_out)),
            test=_as_split(dataset, test),
            available=len(available),
        )
        return Cell(name, size, seed, TASKS[name].mirror, data)

    def _available_and_test(self, dataset: ImageDataset) -> tuple[Sequence[ImageItem], Sequence[ImageItem]]:
        """Return the images to choose from, and the test images: the dataset's own, else a held-out part."""
        available = (*dataset.select("train"), *dataset.select("val"))
        test: Sequence[ImageItem] = dataset.select("test")
        if not test:
            kept, held_out = stratified_split(_labels(available), _TEST_FRACTION, _TEST_SEED)
            available, test = _pick(available, kept), _pick(available, held_out)
        return available, _pick(test, stratified_subset(_labels(test), self.test_images, _TEST_SEED))


def _by_class(labels: Sequence[int], counts: Sequence[int], seed: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Return the ascending indices of so many images of each class."""
    generator, array = np.random.default_rng(seed), np.asarray(labels)
    chosen = [
        generator.permutation(np.flatnonzero(array == label))[:count] for label, count in enumerate(counts)
    ]
    return np.sort(np.concatenate(chosen))


def _labels(items: Sequence[ImageItem]) -> list[int]:
    return strata(item.labels for item in items)


def _pick(items: Sequence[ImageItem], chosen: np.ndarray[Any, np.dtype[Any]]) -> tuple[ImageItem, ...]:
    return tuple(items[index] for index in chosen)


def _as_split(dataset: ImageDataset, items: Sequence[ImageItem]) -> Split:
    return Split(tuple(dataset.image_path(item) for item in items), targets_of(dataset, items))
