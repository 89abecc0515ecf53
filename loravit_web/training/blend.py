"""Two parts of one head: a trained one and a closed form, added in log-probabilities.

With trained logits a and closed-form logits p, the blend is (1 - w) log softmax(a) + w log softmax(p). A
softmax does not depend on the two normalizers, so the blend is one linear head on the features of both parts,
and an answer costs no more. The weight w is chosen on held-out images (stacking; Wolpert 1992, "Stacked
generalization").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.training.closed_form import ClosedForm
from loravit_web.training.evaluation import fit_temperature

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Weights of the closed-form part to choose from."""


@dataclass(frozen=True)
class Blend:
    """Weight of the closed-form part, and the temperature of the whole.

    Attributes:
        weight: Weight w of the closed-form part; 0 if there is none.
        temperature: Divisor of the blended logits before the softmax.
    """

    weight: float
    temperature: float

    def logits(self, trained: torch.Tensor, closed: torch.Tensor | None) -> torch.Tensor:
        """Return the blended logits (N, C) of trained and closed-form logits, before the temperature."""
        if closed is None:
            return trained
        return (1 - self.weight) * trained + self.weight * closed

    def folded(self, trained: nn.Linear, closed: ClosedForm | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight (C, F) and bias (C,) of the blend as one linear head.

        Args:
            trained: The trained part, on the first features.
            closed: The closed-form part, on the features that follow, or None.
        """
        weight, bias = trained.weight.detach().clone(), trained.bias.detach().clone()
        if closed is None:
            return weight, bias
        return (
            torch.cat([(1 - self.weight) * weight, self.weight * closed.weight], dim=1),
            (1 - self.weight) * bias + self.weight * closed.bias,
        )


@dataclass(frozen=True)
class Difference:
    """How much better one head predicts the labels of held-out images than another.

    Attributes:
        mean: Mean difference of the losses per image, in nats; positive if the first head is better.
        standard_error: Standard error of the mean.
    """

    mean: float
    standard_error: float


def fit_blend(trained: torch.Tensor, closed: torch.Tensor | None, labels: torch.Tensor) -> Blend:
    """Choose weight and temperature on held-out images.

    Args:
        trained: Logits (N, C) of the trained part.
        closed: Logits (N, C) of the closed-form part, or None if there is none.
        labels: Class indices (N,).
    """
    if closed is None:
        return Blend(0.0, fit_temperature(trained, labels))
    blends = []
    for weight in WEIGHTS:
        logits = Blend(weight, 1.0).logits(trained, closed)
        temperature = fit_temperature(logits, labels)
        blends.append((float(F.cross_entropy(logits / temperature, labels)), Blend(weight, temperature)))
    return min(blends, key=lambda pair: pair[0])[1]


def compare(first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor) -> Difference:
    """Compare two heads by their calibrated logits (N, C) for the same images with class indices (N,)."""
    losses = [F.cross_entropy(logits, labels, reduction="none").double() for logits in (first, second)]
    differences = losses[1] - losses[0]
    error = float(differences.std()) / len(labels) ** 0.5 if len(labels) > 1 else float("inf")
    return Difference(float(differences.mean()), error)
