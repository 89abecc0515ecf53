"""What the predictions are worth, computed by scikit-learn.

It and SciPy take a second to load, so they are imported by what computes with them: not at every start of the
app, nor for a command that only reads the registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

CALIBRATION_BINS = 15
TOP = 5


@dataclass(frozen=True)
class ClassResult:
    """What the predictions are worth for one class; support is the number of its images."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """The quality of predictions on one split.

    Attributes:
        n: number of images.
        accuracy: of the most probable class.
        loss: mean cross-entropy of the calibrated probabilities, in nats.
        macro_f1: mean of the classes' F1, each class counting the same.
        top5_accuracy: how often the class is among the five most probable; None where there are no more.
        calibration_error: see `calibration_error`.
        classes: one result by class.
        confusion: (true class, predicted class, images) wherever there is an image, in that order.
    """

    n: int
    accuracy: float
    loss: float
    macro_f1: float
    top5_accuracy: float | None
    calibration_error: float
    classes: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, int, int], ...]

    def as_json(self) -> dict[str, Any]:
        """All fields, results by class as columns and confusion as ``{true: {predicted: images}}``."""
        confusion: dict[str, dict[str, int]] = {}
        for true, predicted, images in self.confusion:
            confusion.setdefault(str(true), {})[str(predicted)] = images
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "macro_f1": self.macro_f1,
            "top5_accuracy": self.top5_accuracy,
            "calibration_error": self.calibration_error,
            "classes": {
                name: [getattr(one, name) for one in self.classes]
                for name in ("precision", "recall", "f1", "support")
            },
            "confusion": confusion,
        }


def evaluate(logits: torch.Tensor, labels: torch.Tensor, *, temperature: float = 1.0) -> Evaluation:
    """Evaluate logits (N, C) against class indices (N,)."""
    from sklearn.metrics import accuracy_score, f1_score

    predicted = logits.argmax(dim=1).numpy()
    truth, classes = labels.numpy(), logits.shape[1]
    return Evaluation(
        n=len(truth),
        accuracy=float(accuracy_score(truth, predicted)),
        loss=float(F.cross_entropy(logits / temperature, labels)),
        macro_f1=float(f1_score(truth, predicted, average="macro", zero_division=0)),
        top5_accuracy=_top5_accuracy(logits, labels) if classes > TOP else None,
        calibration_error=calibration_error(torch.softmax(logits / temperature, dim=1), labels),
        classes=_class_results(truth, predicted, classes),
        confusion=_confusion(truth, predicted, classes),
    )


def calibration_error(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """The expected calibration error (Guo et al. 2017, arXiv 1706.04599), 0 to 1.

    Predictions are sorted by the score of the most probable class into 15 bins of equal width; the error
    is the mean, over images, of the distance between a bin's mean score and its accuracy.

    Args:
        scores: (N, C) probabilities.
        labels: (N,) class indices.
    """
    best, predicted = scores.double().max(dim=1)
    right = (predicted == labels).double().numpy()
    inner_edges = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    bins = np.searchsorted(inner_edges, best.numpy(), side="left")  # an edge belongs to the bin below it
    gaps = np.bincount(bins, weights=best.numpy() - right, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(right))


def _top5_accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    # scikit-learn's refuses logits that aren't finite, which a training may still recover from
    return float((logits.topk(TOP, dim=1).indices == labels[:, None]).any(dim=1).double().mean())


def _class_results(truth: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[ClassResult, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(truth, predicted, labels=np.arange(classes), zero_division=0)
    return tuple(
        ClassResult(float(precision), float(recall), float(f1), int(support))
        for precision, recall, f1, support in zip(*columns, strict=True)
    )


def _confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[tuple[int, int, int], ...]:
    # never the whole matrix: with ten thousand classes it would take a gigabyte
    cells, images = np.unique(truth * classes + predicted, return_counts=True)
    return tuple(
        (int(cell) // classes, int(cell) % classes, int(n)) for cell, n in zip(cells, images, strict=True)
    )


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature that makes the probabilities most likely (Guo et al. 2017, arXiv 1706.04599).

    Args:
        logits: (N, C) of images that were not trained on.
        labels: (N,) class indices.

    Returns:
        A number between 0.1 and 10; below 1 sharpens, above 1 softens.
    """

    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(logits / float(np.exp(log_temperature)), labels))

    result = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10.0)), method="bounded")
    return float(np.exp(result.x))
