"""Predictions for the validation and test images of a run, stored with its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from loravit_web.errors import LoraVitError
from loravit_web.training.data import Split
from loravit_web.util.documents import document_bytes, read_document

PREDICTIONS = "predictions.json"
"""Name of the file."""
SCHEMA_VERSION = 1


class PredictionsDamaged(LoraVitError):
    """A file of predictions that cannot be read."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Prediction for one image.

    Attributes:
        sha256: Hash of the image file.
        true: Index of its class in the dataset.
        predicted: Index of the most probable class.
        score: Calibrated probability of ``predicted``, 0 to 1.
    """

    sha256: str
    true: int
    predicted: int
    score: float


Predictions = Mapping[str, tuple[Predicted, ...]]
"""Predictions by split: ``validation``, and ``test`` if the dataset has test images."""


def predictions_of(split: Split, logits: torch.Tensor, temperature: float) -> tuple[Predicted, ...]:
    """Return the predictions for the images of a split, in its order.

    Args:
        split: Images of the split.
        logits: Logits (N, C) of the images.
        temperature: Divisor of the logits before the softmax.
    """
    scores, predicted = torch.softmax(logits / temperature, dim=1).max(dim=1)
    return tuple(
        # stored images are named by their hash
        Predicted(path.stem, true, answer, round(score, 4))
        for path, true, answer, score in zip(
            split.paths, split.labels.tolist(), predicted.tolist(), scores.tolist(), strict=True
        )
    )


def write_predictions(predictions: Predictions) -> bytes:
    """Return predictions as a JSON file with one list per column."""
    splits = {
        split: {
            "images": [answer.sha256 for answer in answers],
            "true": [answer.true for answer in answers],
            "predicted": [answer.predicted for answer in answers],
            "score": [answer.score for answer in answers],
        }
        for split, answers in predictions.items()
    }
    return document_bytes(SCHEMA_VERSION, {"splits": splits})


def read_predictions(data: bytes) -> Predictions:
    """Return the predictions that `write_predictions` wrote.

    Raises:
        PredictionsDamaged: If the data is not such a file.
    """
    try:
        return read_document(data, SCHEMA_VERSION, _splits)
    except ValueError as error:
        raise PredictionsDamaged(
            "The predictions of the run cannot be read by this version of the app. Train again to see the "
            "images."
        ) from error


def _splits(document: Mapping[str, Any]) -> Predictions:
    return {split: _answers(columns) for split, columns in document["splits"].items()}


def _answers(columns: Mapping[str, Any]) -> tuple[Predicted, ...]:
    rows = zip(*(columns[name] for name in ("images", "true", "predicted", "score")), strict=True)
    return tuple(
        Predicted(str(sha), int(true), int(answer), float(score)) for sha, true, answer, score in rows
    )
