"""What is learned and how it is judged, for one label per image or several.

Everything else in a training is the same for both. Which one it is follows from the targets: class indices
(N,) are one label per image, a matrix (N, C) of 0 and 1 is several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from loravit_web.training.evaluation import (
    Evaluation,
    best_temperature,
    evaluate,
    evaluate_several,
    fit_temperature,
    fit_thresholds,
    temperature_pull,
)
from loravit_web.util.labels import Labels

TRAINED_SPREAD = 0.5
"""Spread of the temperature of a trained head by itself; see `fit_temperature`."""
_LOWEST_TEMPERATURE = 1e-3
_NEWTON_STEPS = 20
_PRIOR = 1e-2
_LOWEST_SLOPE = 1e-2


@dataclass(frozen=True, eq=False)
class Scale:
    """How the output x of a ridge regression becomes calibrated logits: (x + shift) / divisor.

    Attributes:
        divisor: Divisor (1,) or (C,), above 0.
        shift: Shift (1,) or (C,).
    """

    divisor: torch.Tensor
    shift: torch.Tensor

    def logits(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return calibrated float32 logits (N, C) of outputs (N, C)."""
        return ((outputs + self.shift) / self.divisor).float()


class Objective(Protocol):
    """What is learned from targets, and how predictions for them are judged.

    Attributes:
        labels: How many labels an image can have.
    """

    labels: Labels

    def label_sets(self, targets: torch.Tensor) -> list[tuple[int, ...]]:
        """Return the class indices of each image."""

    def indicators(self, targets: torch.Tensor, classes: int) -> torch.Tensor:
        """Return the float64 matrix (N, C) of 0 and 1."""

    def class_weights(self, targets: torch.Tensor, classes: int) -> torch.Tensor:
        """Return the weight (C,) of each class in the loss of a step."""

    def image_weights(self, targets: torch.Tensor, classes: int) -> torch.Tensor:
        """Return the float64 weight (N,) of each image in closed form."""

    def loss(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, smoothing: float
    ) -> torch.Tensor:
        """Return the loss of a training step.

        Args:
            logits: Logits (N, C).
            targets: Targets of the images.
            weights: Weights (C,) of the classes.
            smoothing: Label smoothing, 0 to 0.9.
        """

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood (N,) of each image's labels, in nats."""

    def temperature(self, logits: torch.Tensor, targets: torch.Tensor, *, spread: float) -> float:
        """Return the most probable temperature, 0.1 to 10, by held-out labels.

        Args:
            logits: Logits (N, C) of held-out images.
            targets: Their targets.
            spread: How far it may be from 1; see `fit_temperature`.
        """

    def scale(self, outputs: torch.Tensor, targets: torch.Tensor) -> Scale:
        """Return what calibrates the leave-one-out outputs (N, C) of a ridge regression."""

    def thresholds(
        self, logits: torch.Tensor, targets: torch.Tensor, temperature: float
    ) -> tuple[float, ...]:
        """Return the probability from which each class counts; empty if exactly one does."""

    def evaluate(
        self,
        logits: torch.Tensor,
        targets: torch.Tensor,
        *,
        temperature: float = 1.0,
        thresholds: Sequence[float] = (),
    ) -> Evaluation:
        """Return the evaluation of logits (N, C).

        Args:
            logits: Logits (N, C).
            targets: Targets of the images.
            temperature: Divisor of the logits.
            thresholds: Probability from which each class counts, or empty for the defaults.
        """


class _OneLabel:
    """Exactly one class is right: cross-entropy of a softmax, with classes of the same weight."""

    labels: Labels = "one"

    def label_sets(self, targets: torch.Tensor) -> list[tuple[int, ...]]:
        return [(label,) for label in targets.tolist()]

    def indicators(self, targets: torch.Tensor, classes: int) -> torch.Tensor:
        return F.one_hot(targets, classes).double()

    def class_weights(self, targets: torch.Tensor, classes: int) -> torch.Tensor:
        return balanced_weights(targets, classes)

    def image_weights(self, targets: torch.Tensor, classes: int) -> torch.Tensor:
        return balanced_weights(targets, classes).double()[targets]

    def loss(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, smoothing: float
    ) -> torch.Tensor:
        return F.cross_entropy(logits, targets, weights, label_smoothing=smoothing)

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, targets, reduction="none")

    def temperature(self, logits: torch.Tensor, targets: torch.Tensor, *, spread: float) -> float:
        return fit_temperature(logits, targets, spread=spread)

    def scale(self, outputs: torch.Tensor, targets: torch.Tensor) -> Scale:
        temperature = fit_temperature(outputs, targets, lowest=_LOWEST_TEMPERATURE)
        return Scale(torch.tensor([temperature]), torch.zeros(1))

    def thresholds(
        self, _logits: torch.Tensor, _targets: torch.Tensor, _temperature: float
    ) -> tuple[float, ...]:
        return ()

    def evaluate(
        self,
        logits: torch.Tensor,
        targets: torch.Tensor,
        *,
        temperature: float = 1.0,
        thresholds: Sequence[float] = (),
    ) -> Evaluation:
        return evaluate(logits, targets, temperature=temperature)


class _SeveralLabels:
    """Each class is right or not: binary cross-entropy of a sigmoid for each class."""

    labels: Labels = "many"

    def label_sets(self, targets: torch.Tensor) -> list[tuple[int, ...]]:
        return [tuple(row.nonzero()[:, 0].tolist()) for row in targets]

    def indicators(self, targets: torch.Tensor, classes: int) -> torch.Tensor:
        return targets.double()

    def class_weights(self, targets: torch.Tensor, classes: int) -> torch.Tensor:
        return torch.ones(classes)

    def image_weights(self, targets: torch.Tensor, classes: int) -> torch.Tensor:
        return torch.ones(len(targets), dtype=torch.float64)

    def loss(
        self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, smoothing: float
    ) -> torch.Tensor:
        smooth = targets * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, smooth, weights)

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1)

    def temperature(self, logits: torch.Tensor, targets: torch.Tensor, *, spread: float) -> float:
        pull = temperature_pull(len(targets), spread)
        return best_temperature(lambda t: float(self.losses(logits / t, targets).mean()), pull=pull)

    def scale(self, outputs: torch.Tensor, targets: torch.Tensor) -> Scale:
        return platt_scale(outputs, targets)

    def thresholds(
        self, logits: torch.Tensor, targets: torch.Tensor, temperature: float
    ) -> tuple[float, ...]:
        return fit_thresholds(torch.sigmoid(logits / temperature), targets)

    def evaluate(
        self,
        logits: torch.Tensor,
        targets: torch.Tensor,
        *,
        temperature: float = 1.0,
        thresholds: Sequence[float] = (),
    ) -> Evaluation:
        return evaluate_several(logits, targets, temperature=temperature, thresholds=thresholds)


_ONE, _SEVERAL = _OneLabel(), _SeveralLabels()


def objective_of(targets: torch.Tensor) -> Objective:
    """Return the objective of class indices (N,), or of a matrix (N, C) of 0 and 1."""
    return _ONE if targets.ndim == 1 else _SEVERAL


def balanced_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return weights (C,) of the loss that balance the classes; their mean over the images is 1.

    Args:
        labels: Class indices (N,).
        classes: Number of classes C.
    """
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return len(labels) / (classes * counts.float())


def platt_scale(outputs: torch.Tensor, targets: torch.Tensor) -> Scale:
    """Return the logistic regression of each class on its own output (Platt 1999, "Probabilistic Outputs").

    The targets are softened as in the paper, and slopes have a weak prior, so that classes with few images
    or perfectly separated ones stay finite. It takes Newton's method a few steps for all classes at once.

    Args:
        outputs: Outputs (N, C) for images that were not fitted on.
        targets: Matrix (N, C) of 0 and 1.
    """
    x, t = outputs.double(), targets.double()
    center, spread = x.mean(dim=0), x.std(dim=0, correction=0)
    spread = torch.where(spread > 0, spread, 1.0)
    z = (x - center) / spread
    positive = t.sum(dim=0)
    negative = len(t) - positive
    soft = torch.where(t > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    slope, bias = torch.ones_like(center), ((positive + 1) / (negative + 1)).log()
    for _step in range(_NEWTON_STEPS):
        p = torch.sigmoid(slope * z + bias)
        curvature, error = (p * (1 - p)).clamp(min=1e-9), p - soft
        g_slope, g_bias = (error * z).sum(dim=0) + _PRIOR * (slope - 1), error.sum(dim=0)
        h_slope, h_bias = (curvature * z * z).sum(dim=0) + _PRIOR, curvature.sum(dim=0)
        h_both = (curvature * z).sum(dim=0)
        determinant = (h_slope * h_bias - h_both**2).clamp(min=1e-12)
        d_slope = (h_bias * g_slope - h_both * g_bias) / determinant
        d_bias = (h_slope * g_bias - h_both * g_slope) / determinant
        slope, bias = slope - d_slope.clamp(-2, 2), bias - d_bias.clamp(-2, 2)
    slope = slope.clamp(min=_LOWEST_SLOPE)  # an output that says the opposite says nothing
    return Scale(spread / slope, bias * spread / slope - center)
