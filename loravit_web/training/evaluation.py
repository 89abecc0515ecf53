"""Evaluation of predictions with scikit-learn.

scikit-learn and SciPy take a second to import, so the functions import them when they are needed, and not at
every start of the app or for commands that only read the registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

CALIBRATION_BINS = 15
"""Number of bins of the calibration error."""
TOP = 5
"""Number of classes in the top-5 accuracy."""


@dataclass(frozen=True)
class ClassResult:
    """Metrics of one class.

    Attributes:
        precision: Precision, 0 to 1.
        recall: Recall, 0 to 1.
        f1: F1 score, 0 to 1.
        support: Number of images of the class.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """Quality of the predictions on one split.

    Attributes:
        n: Number of images.
        accuracy: Fraction of images whose most probable class is correct.
        loss: Mean cross-entropy of the calibrated probabilities, in nats.
        macro_f1: Unweighted mean of the classes' F1 scores.
        top5_accuracy: Fraction of images whose class is among the five most probable ones; None for five
            classes or fewer.
        calibration_error: Expected calibration error; see `calibration_error`.
        classes: Metrics of each class.
        confusion: Cells (true class, predicted class, number of images) of the confusion matrix that are not
            zero, sorted.
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
        """Return all fields: metrics by class as columns, confusion as ``{true: {predicted: images}}``."""
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
                name: [getattr(result, name) for result in self.classes]
                for name in ("precision", "recall", "f1", "support")
            },
            "confusion": confusion,
        }


def evaluate(logits: torch.Tensor, labels: torch.Tensor, *, temperature: float = 1.0) -> Evaluation:
    """Return the evaluation of logits (N, C) for class indices (N,).

    Args:
        logits: Logits (N, C).
        labels: Class indices (N,).
        temperature: Divisor of the logits before the softmax.
    """
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
    """Return the expected calibration error (Guo et al. 2017, arXiv 1706.04599), 0 to 1.

    Predictions are sorted into 15 bins of equal width by the score of the most probable class. The error is
    the mean over all images of the distance between the mean score and the accuracy of a bin.

    Args:
        scores: Probabilities (N, C).
        labels: Class indices (N,).
    """
    best, predicted = scores.double().max(dim=1)
    right = (predicted == labels).double().numpy()
    inner_edges = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    bins = np.searchsorted(inner_edges, best.numpy(), side="left")  # an edge belongs to the lower bin
    gaps = np.bincount(bins, weights=best.numpy() - right, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(right))


def _top5_accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    # scikit-learn rejects logits that are not finite, from which a training can still recover
    return float((logits.topk(TOP, dim=1).indices == labels[:, None]).any(dim=1).double().mean())


def _class_results(truth: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[ClassResult, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(truth, predicted, labels=np.arange(classes), zero_division=0)
    return tuple(
        ClassResult(float(precision), float(recall), float(f1), int(support))
        for precision, recall, f1, support in zip(*columns, strict=True)
    )


def _confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[tuple[int, int, int], ...]:
    # not the full matrix, which would take a gigabyte for 10,000 classes
    cells, images = np.unique(truth * classes + predicted, return_counts=True)
    return tuple(
        (int(cell) // classes, int(cell) % classes, int(n)) for cell, n in zip(cells, images, strict=True)
    )


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor, *, lowest: float = 0.1) -> float:
    """Return the temperature that maximizes the likelihood of the labels.

    See temperature scaling (Guo et al. 2017, arXiv 1706.04599).

    Args:
        logits: Logits (N, C) of images that were not trained on.
        labels: Class indices (N,).
        lowest: Smallest temperature.

    Returns:
        A temperature up to 10. Values below 1 sharpen the probabilities, values above 1 soften them.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(logits / float(np.exp(log_temperature)), labels))

    result = minimize_scalar(loss, bounds=(np.log(lowest), np.log(10.0)), method="bounded")
    return float(np.exp(result.x))
