"""What a run's adapter answered to each image that it was judged by, kept beside the version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from loravit_web.errors import LoraVitError
from loravit_web.training.data import Split

PREDICTIONS = "predictions.json"
SCHEMA_VERSION = 1


class PredictionsDamaged(LoraVitError):
    """A file of predictions that can't be read."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """The answer to one image.

    Attributes:
        sha256: of the image's file.
        true: index of its class in the data.
        predicted: index of the most probable class.
        score: the calibrated probability of ``predicted``.
    """

    sha256: str
    true: int
    predicted: int
    score: float


Predictions = Mapping[str, tuple[Predicted, ...]]
"""By split: ``validation``, and ``test`` where the data has some."""


def predictions_of(split: Split, logits: torch.Tensor, temperature: float) -> tuple[Predicted, ...]:
    """The answers to a split's images, in its order."""
    scores, predicted = torch.softmax(logits / temperature, dim=1).max(dim=1)
    return tuple(
        # a stored image is named by its content
        Predicted(path.stem, true, answer, round(score, 4))
        for path, true, answer, score in zip(
            split.paths, split.labels.tolist(), predicted.tolist(), scores.tolist(), strict=True
        )
    )


def write_predictions(predictions: Predictions) -> bytes:
    """One JSON file, column by column."""
    splits = {
        split: {
            "images": [one.sha256 for one in answers],
            "true": [one.true for one in answers],
            "predicted": [one.predicted for one in answers],
            "score": [one.score for one in answers],
        }
        for split, answers in predictions.items()
    }
    return json.dumps({"schema": SCHEMA_VERSION, "splits": splits}, separators=(",", ":")).encode()


def read_predictions(data: bytes) -> Predictions:
    """The inverse of `write_predictions`.

    Raises:
        PredictionsDamaged: if it is no such file.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        if document["schema"] != SCHEMA_VERSION:
            raise ValueError(document["schema"])
        return {split: _answers(columns) for split, columns in document["splits"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PredictionsDamaged(
            "The run's predictions can't be read by this version; train again to open the images."
        ) from error


def _answers(columns: Mapping[str, Any]) -> tuple[Predicted, ...]:
    rows = zip(*(columns[name] for name in ("images", "true", "predicted", "score")), strict=True)
    return tuple(
        Predicted(str(sha), int(true), int(answer), float(score)) for sha, true, answer, score in rows
    )
