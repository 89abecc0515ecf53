"""Linear probe: the accuracy of the frozen base without an adapter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from loravit_web.training.evaluation import evaluate

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """Logistic regression on pooled features, as a linear layer.

    Attributes:
        weight: Float32 weight (C, F).
        bias: Float32 bias (C,).
        accuracy: Accuracy on the validation split, 0 to 1.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    accuracy: float

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, C) of features (N, F)."""
        return features @ self.weight.T + self.bias


def fit_linear_probe(
    features: torch.Tensor,
    labels: torch.Tensor,
    validation_features: torch.Tensor,
    validation_labels: torch.Tensor,
    classes: int,
) -> LinearProbe:
    """Fit a linear probe; the strength of the regularization is chosen on the validation split.

    All classes have the same weight, as in the training of adapters.

    Args:
        features: Features (N, F) of the training images.
        labels: Class indices (N,) of the training images.
        validation_features: Features (M, F) of the validation images.
        validation_labels: Class indices (M,) of the validation images.
        classes: Number of classes C.
    """
    best: LinearProbe | None = None
    for strength in _STRENGTHS:
        probe = _fit(features, labels, classes, strength)
        accuracy = evaluate(probe.logits(validation_features), validation_labels).accuracy
        if best is None or accuracy > best.accuracy:
            best = LinearProbe(probe.weight, probe.bias, accuracy)
    if best is None:
        raise AssertionError("no regularization strength was tried")
    return best


def _fit(features: torch.Tensor, labels: torch.Tensor, classes: int, strength: float) -> LinearProbe:
    # Imported here because scikit-learn takes a second to import.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    regression = LogisticRegression(C=strength, max_iter=300, class_weight="balanced")
    make_pipeline(scaler, regression).fit(features.numpy(), labels.numpy())
    # Fold the scaling into the layer. For two classes scikit-learn has a single row for their difference.
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    if classes == 2:
        weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.array([-bias[0], bias[0]]) / 2
    return LinearProbe(torch.from_numpy(weight).float(), torch.from_numpy(bias).float(), 0.0)
