"""Results of a completed run: version, predictions, and the images behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loravit_web.datasets import ImageDataset, ImageItem
from loravit_web.errors import LoraVitError
from loravit_web.training.files.predictions import PREDICTIONS, Predicted, Predictions, read_predictions
from registry import ConfusionCell, EvaluationDetails, Registry, Run, Split, UnknownRunFile, Version


class NoResult(LoraVitError):
    """A run without a published version."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An image and its prediction.

    Attributes:
        item: The image.
        answer: The prediction.
    """

    item: ImageItem
    answer: Predicted


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a completed run.

    Attributes:
        run: The run.
        version: Version that the run published.
        predictions: Predictions by split, or None for older runs, which did not store them.
    """

    run: Run
    version: Version
    predictions: Predictions | None

    @property
    def splits(self) -> tuple[Split, ...]:
        """Splits with an evaluation, the less biased one first."""
        found = {evaluation.split for evaluation in self.version.evaluations}
        names: tuple[Split, ...] = ("test", "validation")
        return tuple(name for name in names if name in found)


def result_of(registry: Registry, run_id: str) -> Result:
    """Return the result of a run.

    Args:
        registry: Registry with the run.
        run_id: Id of the run, or its beginning.

    Raises:
        NoResult: If the run published nothing.
        RegistryError: If there is no such run, or its files cannot be read.
    """
    run = registry.runs.get(run_id)
    if run.published is None:
        raise NoResult(
            "This run has not published a version yet, so it has no result. Choose a completed run."
        )
    try:
        predictions = read_predictions(registry.run_files.read(run.id, PREDICTIONS))
    except UnknownRunFile:  # the run is older than this file
        predictions = None
    return Result(run, registry.catalog.version(run.published), predictions)


def details_of(registry: Registry, result: Result, split: Split) -> EvaluationDetails:
    """Return the results per class.

    Args:
        registry: Registry with the evaluations.
        result: Result of a run.
        split: Split of the evaluation.

    Raises:
        NoResult: If there is no evaluation on the split.
    """
    details = registry.evaluations.details(result.version, split)
    if details is None:
        raise NoResult(f"{result.version.ref} was not evaluated on the {split} split. Choose another split.")
    return details


def images_behind(
    result: Result, dataset: ImageDataset, split: Split, true: int, predicted: int
) -> list[Judged]:
    """Return the images of a cell of the confusion matrix, the most confident predictions first.

    Args:
        result: Result of a run.
        dataset: Dataset of the run.
        split: Split of the evaluation.
        true: Index of the labeled class.
        predicted: Index of the predicted class.
    """
    answers = [
        answer
        for answer in (result.predictions or {}).get(split, ())
        if (answer.true, answer.predicted) == (true, predicted)
    ]
    items = {(item.sha256, item.labels): item for item in dataset.items}
    found = [
        Judged(items[key], answer) for answer in answers if (key := (answer.sha256, (answer.true,))) in items
    ]
    return sorted(found, key=lambda judged: -judged.answer.score)


def classes_in_view(details: EvaluationDetails, most: int) -> list[int]:
    """Return the indices of the classes to draw, in order: all, or those with the most errors.

    Args:
        details: Results per class.
        most: Maximum number of classes.
    """
    if len(details.class_names) <= most:
        return list(range(len(details.class_names)))
    errors = [0] * len(details.class_names)
    for cell in details.confusion:
        if cell.true_idx != cell.predicted_idx:
            errors[cell.true_idx] += cell.n
            errors[cell.predicted_idx] += cell.n
    return sorted(sorted(range(len(errors)), key=lambda index: -errors[index])[:most])


def mistakes(details: EvaluationDetails) -> Sequence[ConfusionCell]:
    """Return the pairs of confused classes, the most frequent first."""
    return sorted(
        (cell for cell in details.confusion if cell.true_idx != cell.predicted_idx),
        key=lambda cell: (-cell.n, cell.true_idx, cell.predicted_idx),
    )
