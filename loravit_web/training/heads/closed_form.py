"""Heads in closed form: ridge regression on standardized features, with leave-one-out predictions.

With Z the standardized features (N, F) less their mean, Y the one-hot labels (N, C) less theirs, and the
kernel K = Z Z^T, the head is W = Z^T G Y with G = (K + s I)^-1. What a head fitted without image i predicts
for it follows from the same inverse as Y_i - (G Y)_i / (G_ii - 1 / (s N)), so leave-one-out validation costs
nothing (Allen 1974, "The relationship between variable selection and data augmentation and a method for
prediction"). The second term of the divisor takes the image out of the means as well: since all centered
features add up to zero, those of the others would give away its label otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from loravit_web.training.objective import Scale, objective_of

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Regularization strengths, relative to the mean of the kernel's diagonal."""
_CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """A linear head computed in closed form, calibrated on its leave-one-out predictions.

    Attributes:
        weight: Float32 weight (C, F); the standardization is folded into it.
        bias: Float32 bias (C,).
        strength: Regularization strength, one of `STRENGTHS`.
        left_out: Calibrated float32 logits (N, C) of each image by the head that was fitted without it.
        loss: Mean loss of ``left_out``, in nats.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    strength: float
    left_out: torch.Tensor
    loss: float

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return calibrated float32 logits (N, C) of features (N, F)."""
        return F.linear(features.float(), self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class _Solution:
    """Dual weights (N, C), calibrated leave-one-out logits (N, C), strength, scale and loss."""

    dual: torch.Tensor
    left_out: torch.Tensor
    strength: float
    scale: Scale
    loss: float


def fit_closed_form(
    features: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    strengths: Sequence[float] = STRENGTHS,
    calibration: Scale | None = None,
) -> ClosedForm:
    """Fit a head; the strength with the smallest leave-one-out loss is chosen.

    Classes weigh as in the training of adapters.

    Args:
        features: Features (N, F).
        labels: Class indices (N,), or a matrix (N, C) of 0 and 1 for several labels per image.
        classes: Number of classes C.
        strengths: Strengths to choose from. One is solved by a Cholesky factorization, several by one
            eigendecomposition, which takes longer.
        calibration: What makes logits of the outputs, or None for what calibrates the leave-one-out outputs.
    """
    z = features.to(torch.float64, copy=True)
    center, scale = z.mean(dim=0), z.std(dim=0, correction=0)
    scale = torch.where(scale > _CONSTANT * (1 + center.abs()), scale, 1.0) * math.sqrt(features.shape[1])
    objective = objective_of(labels)
    weights = objective.image_weights(labels, classes)
    root = weights.sqrt()[:, None]
    z.sub_(center).div_(scale)  # in place, because thousands of wide features take hundreds of megabytes
    y = objective.indicators(labels, classes)
    z_mean, y_mean = ((weights[:, None] * t).sum(dim=0) / weights.sum() for t in (z, y))
    inputs = z.sub_(z_mean).mul_(root)
    best = _solve(inputs @ inputs.T, (y - y_mean) * root, root, y_mean, labels, strengths)
    standardized = best.dual.T @ inputs
    weight = standardized / scale
    bias = y_mean - standardized @ z_mean - weight @ center
    calibration = calibration or best.scale
    return ClosedForm(
        weight=(weight / calibration.divisor[:, None]).float(),
        bias=calibration.logits(bias),
        strength=best.strength,
        left_out=best.left_out,
        loss=best.loss,
    )


def _solve(
    kernel: torch.Tensor,
    targets: torch.Tensor,
    root: torch.Tensor,
    mean: torch.Tensor,
    labels: torch.Tensor,
    strengths: Sequence[float],
) -> _Solution:
    """Return the solution with the smallest leave-one-out loss.

    Args:
        kernel: Kernel (N, N) of the weighted features.
        targets: Weighted targets (N, C).
        root: Square root (N, 1) of each image's weight.
        mean: Weighted mean (C,) of the labels as 0 and 1.
        labels: Class indices (N,), or a matrix (N, C) of 0 and 1.
        strengths: Strengths to choose from.
    """
    objective = objective_of(labels)
    unit = float(kernel.diagonal().mean()) or 1.0
    solutions = []
    for strength, (dual, diagonal) in zip(
        strengths, _inverses(kernel, targets, [strength * unit for strength in strengths]), strict=True
    ):
        others = diagonal[:, None] - root**2 / (strength * unit * root.square().sum())
        left_out = ((targets - dual / others) / root + mean).float()
        scale = objective.scale(left_out, labels)
        logits = scale.logits(left_out)
        loss = float(objective.losses(logits, labels).mean())
        solutions.append(_Solution(dual, logits, strength, scale, loss))
    return min(solutions, key=lambda solution: solution.loss)


def _inverses(
    kernel: torch.Tensor, targets: torch.Tensor, strengths: Sequence[float]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return, for each strength, the dual weights (N, C) and the diagonal (N,) of the inverse."""
    if len(strengths) == 1:
        regularized = kernel + strengths[0] * torch.eye(len(kernel), dtype=kernel.dtype)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(regularized))
        return [(inverse @ targets, inverse.diagonal())]
    values, vectors = torch.linalg.eigh(kernel)
    rotated, squares = vectors.T @ targets, vectors**2
    inverted = [1 / (values.clamp(min=0) + strength) for strength in strengths]
    return [(vectors @ (factor[:, None] * rotated), squares @ factor) for factor in inverted]
