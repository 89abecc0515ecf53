"""Evaluation of predictions with scikit-learn.

scikit-learn and SciPy take a second to import, so the functions import them when they are needed, and not at
every start of the app or for commands that only read the registry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

CALIBRATION_BINS = 15
"""Number of bins of the calibration error."""
MIDDLE = 0.5
"""Probability from which a class counts while no threshold has been fitted."""
THRESHOLDS = tuple(
    sorted((step / 20 for step in range(1, 20)), key=lambda threshold: abs(threshold - MIDDLE))
)
"""Thresholds to choose from. Of equally good ones the first is taken, which is the closest to the middle."""
FEWEST_POSITIVES = 10
"""Number of held-out images of a class from which it has a threshold of its own."""
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
        average_precision: Average precision, 0 to 1; None for one label per image, and without images.
    """

    precision: float
    recall: float
    f1: float
    support: int
    average_precision: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Quality of the predictions on one split.

    Attributes:
        n: Number of images.
        accuracy: Fraction of images whose most probable class is correct; for several labels, whose labels
            are all correct.
        loss: Mean cross-entropy of the calibrated probabilities, in nats; for several labels also the mean
            over the classes.
        macro_f1: Unweighted mean of the classes' F1 scores.
        top5_accuracy: Fraction of images whose class is among the five most probable ones; None for five
            classes or fewer.
        calibration_error: Expected calibration error; see `calibration_error`.
        classes: Metrics of each class.
        confusion: Cells (true class, predicted class, number of images) of the confusion matrix that are not
            zero, sorted; empty for several labels.
        mean_average_precision: Mean of the classes' average precision; None for one label per image.
        micro_f1: F1 score of all labels of all images together; None for one label per image.
    """

    n: int
    accuracy: float
    loss: float
    macro_f1: float
    top5_accuracy: float | None
    calibration_error: float
    classes: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, int, int], ...]
    mean_average_precision: float | None = None
    micro_f1: float | None = None

    @property
    def quality(self) -> float:
        """The mean average precision if there is one, else the accuracy."""
        return self.accuracy if self.mean_average_precision is None else self.mean_average_precision

    def as_json(self) -> dict[str, Any]:
        """Return all fields: metrics by class as columns, confusion as ``{true: {predicted: images}}``.

        The fields of several labels are left out for one label per image.
        """
        confusion: dict[str, dict[str, int]] = {}
        for true, predicted, images in self.confusion:
            confusion.setdefault(str(true), {})[str(predicted)] = images
        columns = ["precision", "recall", "f1", "support"]
        several: dict[str, Any] = {}
        if self.mean_average_precision is not None:
            columns.append("average_precision")
            several = {"mean_average_precision": self.mean_average_precision, "micro_f1": self.micro_f1}
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "macro_f1": self.macro_f1,
            "top5_accuracy": self.top5_accuracy,
            "calibration_error": self.calibration_error,
            "classes": {name: [getattr(result, name) for result in self.classes] for name in columns},
            "confusion": confusion,
            **several,
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
    return _binned_error(best.numpy(), (predicted == labels).double().numpy())


def _binned_error(scores: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error of scores (M,), given whether each of them was right."""
    inner_edges = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    bins = np.searchsorted(inner_edges, scores, side="left")  # an edge belongs to the lower bin
    gaps = np.bincount(bins, weights=scores - right, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(right))


def evaluate_several(
    logits: torch.Tensor, labels: torch.Tensor, *, temperature: float = 1.0, thresholds: Sequence[float] = ()
) -> Evaluation:
    """Return the evaluation of logits (N, C) for images with several labels.

    The calibration error is that of all labels of all images. A class without images has no average
    precision, and the means leave it out.

    Args:
        logits: Logits (N, C).
        labels: Matrix (N, C) of 0 and 1.
        temperature: Divisor of the logits before the sigmoid.
        thresholds: Probability from which each class counts; `MIDDLE` for all if it is empty.
    """
    scores = torch.sigmoid(logits / temperature)
    predicted = scores >= torch.tensor(thresholds or [MIDDLE] * logits.shape[1])
    truth = labels > 0
    hits, answers, support = ((mask).sum(dim=0) for mask in (predicted & truth, predicted, truth))
    average = average_precision(logits, labels)
    classes = tuple(
        ClassResult(_ratio(hit, answer), _ratio(hit, n), _ratio(2 * hit, answer + n), n, ap if n else None)
        for hit, answer, n, ap in zip(*(t.tolist() for t in (hits, answers, support, average)), strict=True)
    )
    known = [one.average_precision for one in classes if one.average_precision is not None]
    return Evaluation(
        n=len(labels),
        accuracy=float((predicted == truth).all(dim=1).double().mean()),
        loss=float(F.binary_cross_entropy_with_logits(logits / temperature, labels)),
        macro_f1=_ratio(sum(one.f1 for one in classes if one.support), len(known)),
        top5_accuracy=None,
        calibration_error=_binned_error(scores.double().flatten().numpy(), labels.double().flatten().numpy()),
        classes=classes,
        confusion=(),
        mean_average_precision=_ratio(sum(known), len(known)),
        micro_f1=_ratio(2 * int(hits.sum()), int(answers.sum() + support.sum())),
    )


def average_precision(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the average precision (C,) of each class: the mean precision at the ranks of its images.

    Args:
        logits: Logits (N, C), which may be infinite or NaN.
        labels: Matrix (N, C) of 0 and 1. A class without images gives 0.
    """
    ranked = labels.double().gather(0, logits.argsort(dim=0, descending=True, stable=True))
    precision = ranked.cumsum(dim=0) / torch.arange(1, len(ranked) + 1)[:, None]
    return (precision * ranked).sum(dim=0) / ranked.sum(dim=0).clamp(min=1)


def fit_thresholds(scores: torch.Tensor, labels: torch.Tensor) -> tuple[float, ...]:
    """Return the probability from which each class counts, which gives the best F1 score.

    A class with fewer than `FEWEST_POSITIVES` images has the threshold that is best for all labels together.

    Args:
        scores: Calibrated probabilities (N, C) of images that were not trained on.
        labels: Matrix (N, C) of 0 and 1.
    """
    truth = labels > 0
    support = truth.sum(dim=0)
    hits, answers = [], []
    for threshold in THRESHOLDS:
        over = scores >= threshold
        hits.append((over & truth).sum(dim=0))
        answers.append(over.sum(dim=0))
    found, given = torch.stack(hits).double(), torch.stack(answers).double()
    own = (2 * found / (given + support).clamp(min=1)).numpy().argmax(axis=0)
    together = found.sum(dim=1) / (given.sum(dim=1) + support.sum()).clamp(min=1)
    shared = int(together.numpy().argmax())
    enough = (support >= FEWEST_POSITIVES).tolist()
    return tuple(THRESHOLDS[int(o) if e else shared] for o, e in zip(own, enough, strict=True))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


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


def fit_temperature(
    logits: torch.Tensor, labels: torch.Tensor, *, lowest: float = 0.1, spread: float = math.inf
) -> float:
    """Return the temperature that maximizes the likelihood of the labels, or its posterior.

    See temperature scaling (Guo et al. 2017, arXiv 1706.04599).

    Args:
        logits: Logits (N, C) of images that were not trained on.
        labels: Class indices (N,).
        lowest: Smallest temperature.
        spread: Standard deviation of the logarithm of the temperature around 0 before any image is seen.

    Returns:
        A temperature up to 10. Values below 1 sharpen the probabilities, values above 1 soften them.
    """
    pull = temperature_pull(len(labels), spread)
    return best_temperature(lambda t: float(F.cross_entropy(logits / t, labels)), lowest=lowest, pull=pull)


def temperature_pull(images: int, spread: float) -> float:
    """Return the factor of the squared logarithm of a temperature beside the mean loss of images.

    Args:
        images: Number of images.
        spread: See `fit_temperature`.
    """
    return 1 / (2 * spread**2 * max(images, 1))


def best_temperature(loss: Callable[[float], float], *, lowest: float = 0.1, pull: float = 0.0) -> float:
    """Return the temperature from ``lowest`` to 10 with the smallest loss.

    Args:
        loss: Returns the mean loss of a temperature.
        lowest: Smallest temperature.
        pull: How strongly it is pulled towards 1; see `temperature_pull`.
    """
    from scipy.optimize import minimize_scalar

    result = minimize_scalar(
        lambda logarithm: loss(float(np.exp(logarithm))) + pull * logarithm**2,
        bounds=(np.log(lowest), np.log(10.0)),
        method="bounded",
    )
    return float(np.exp(result.x))
