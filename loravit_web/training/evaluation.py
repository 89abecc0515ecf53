"""What the predictions are worth, computed by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from sklearn.metrics import accuracy_score, f1_score


@dataclass(frozen=True)
class Evaluation:
    """The quality of predictions on one split.

    Attributes:
        n: number of images.
        accuracy: of the most probable class.
        loss: mean cross-entropy of the calibrated probabilities, in nats.
        macro_f1: mean of the classes' F1, each class counting the same.
    """

    n: int
    accuracy: float
    loss: float
    macro_f1: float

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return {"n": self.n, "accuracy": self.accuracy, "loss": self.loss, "macro_f1": self.macro_f1}


def evaluate(logits: torch.Tensor, labels: torch.Tensor, *, temperature: float = 1.0) -> Evaluation:
    """Evaluate logits (N, C) against class indices (N,)."""
    predicted = logits.argmax(dim=1).numpy()
    truth = labels.numpy()
    return Evaluation(
        n=len(truth),
        accuracy=float(accuracy_score(truth, predicted)),
        loss=float(F.cross_entropy(logits / temperature, labels)),
        macro_f1=float(f1_score(truth, predicted, average="macro", zero_division=0)),
    )


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature that makes the probabilities most likely (Guo et al. 2017, arXiv 1706.04599).

    Args:
        logits: (N, C) of images that were not trained on.
        labels: (N,) class indices.

    Returns:
        A number between 0.1 and 10; below 1 sharpens, above 1 softens.
    """

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(logits / float(np.exp(log_temperature)), labels))

    result = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10.0)), method="bounded")
    return float(np.exp(result.x))
