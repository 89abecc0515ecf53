"""Predictions for the validation and test images of a run, stored with its version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from loravit_web.errors import LoraVitError
from loravit_web.training.data import Split

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
    return json.dumps({"schema": SCHEMA_VERSION, "splits": splits}, separators=(",", ":")).encode()


def read_predictions(data: bytes) -> Predictions:
    """Return the predictions that `write_predictions` wrote.

    Raises:
        PredictionsDamaged: If the data is not such a file.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        if document["schema"] != SCHEMA_VERSION:
            raise ValueError(document["schema"])
        return {split: _answers(columns) for split, columns in document["splits"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PredictionsDamaged(
            "The predictions of the run cannot be read by this version of the app. Train again to see the "
            "images."
        ) from error


def _answers(columns: Mapping[str, Any]) -> tuple[Predicted, ...]:
    rows = zip(*(columns[name] for name in ("images", "true", "predicted", "score")), strict=True)
    return tuple(
        Predicted(str(sha), int(true), int(answer), float(score)) for sha, true, answer, score in rows
    )
