"""The linear probe: what the frozen base can do without any adapter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from loravit_web.training.evaluation import evaluate

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """Logistic regression on pooled features, as one linear layer.

    Attributes:
        weight: float32 (C, F).
        bias: float32 (C,).
        accuracy: on the validation images.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    accuracy: float

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to logits (N, C)."""
        return features @ self.weight.T + self.bias


def fit_linear_probe(
    features: torch.Tensor,
    labels: torch.Tensor,
    validation_features: torch.Tensor,
    validation_labels: torch.Tensor,
    classes: int,
) -> LinearProbe:
    """Fit on (N, F) features, choosing the regularisation on the validation images.

    Classes weigh the same however many images they have, as they do in the adapter's training.
    """
    best: LinearProbe | None = None
    for strength in _STRENGTHS:
        probe = _fit(features, labels, classes, strength)
        accuracy = evaluate(probe.logits(validation_features), validation_labels).accuracy
        if best is None or accuracy > best.accuracy:
            best = LinearProbe(probe.weight, probe.bias, accuracy)
    if best is None:
        raise AssertionError("no regularisation strength was tried")
    return best


def _fit(features: torch.Tensor, labels: torch.Tensor, classes: int, strength: float) -> LinearProbe:
    # Imported here because scikit-learn takes a second to load.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    regression = LogisticRegression(C=strength, max_iter=300, class_weight="balanced")
    make_pipeline(scaler, regression).fit(features.numpy(), labels.numpy())
    # Fold the scaling into the layer. With two classes scikit-learn keeps one row for their difference.
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    if classes == 2:
        weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.array([-bias[0], bias[0]]) / 2
    return LinearProbe(torch.from_numpy(weight).float(), torch.from_numpy(bias).float(), 0.0)
