"""What a completed run came to: its version, its data, and the images behind every answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loravit_web.datasets import ImageDataset, ImageItem
from loravit_web.errors import LoraVitError
from loravit_web.training.predictions import PREDICTIONS, Predicted, Predictions, read_predictions
from registry import ConfusionCell, EvaluationDetails, Registry, Run, Split, UnknownRunFile, Version


class NoResult(LoraVitError):
    """A run that published nothing."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An image and the answer to it."""

    item: ImageItem
    answer: Predicted


@dataclass(frozen=True, slots=True)
class Result:
    """What a completed run came to.

    Attributes:
        predictions: None for runs that did not keep them.
    """

    run: Run
    version: Version
    predictions: Predictions | None

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that it was judged by, the more honest one first."""
        found = {one.split for one in self.version.evaluations}
        names: tuple[Split, ...] = ("test", "validation")
        return tuple(name for name in names if name in found)


def result_of(registry: Registry, run_id: str) -> Result:
    """The result of a run.

    Raises:
        NoResult: if it published nothing.
        RegistryError: if there is no such run or its files can't be read.
    """
    run = registry.runs.get(run_id)
    if run.published is None:
        raise NoResult("This run has published nothing yet, so there is no result to show.")
    try:
        predictions = read_predictions(registry.run_files.read(run.id, PREDICTIONS))
    except UnknownRunFile:  # trained before runs kept them
        predictions = None
    return Result(run, registry.catalog.version(run.published), predictions)


def details_of(registry: Registry, result: Result, split: Split) -> EvaluationDetails:
    """Results class by class."""
    details = registry.evaluations.details(result.version, split)
    if details is None:
        raise NoResult(f"{result.version.ref} was not judged by {split} images.")
    return details


def images_behind(
    result: Result, dataset: ImageDataset, split: Split, true: int, predicted: int
) -> list[Judged]:
    """The images of one class that were taken for another, the surest answers first."""
    answers = [
        one
        for one in (result.predictions or {}).get(split, ())
        if (one.true, one.predicted) == (true, predicted)
    ]
    items = {(item.sha256, item.label): item for item in dataset.items}
    found = [Judged(items[key], one) for one in answers if (key := (one.sha256, one.true)) in items]
    return sorted(found, key=lambda one: -one.answer.score)


def classes_in_view(details: EvaluationDetails, most: int) -> list[int]:
    """The classes to draw: all, or so many that are confused most, in their usual order."""
    if len(details.class_names) <= most:
        return list(range(len(details.class_names)))
    errors = [0] * len(details.class_names)
    for cell in details.confusion:
        if cell.true_idx != cell.predicted_idx:
            errors[cell.true_idx] += cell.n
            errors[cell.predicted_idx] += cell.n
    return sorted(sorted(range(len(errors)), key=lambda index: -errors[index])[:most])


def mistakes(details: EvaluationDetails) -> Sequence[ConfusionCell]:
    """The pairs of classes that were confused, the most frequent first."""
    return sorted(
        (cell for cell in details.confusion if cell.true_idx != cell.predicted_idx),
        key=lambda cell: (-cell.n, cell.true_idx, cell.predicted_idx),
    )
