"""Heads to compare with, on the pooled features of the frozen base's last block.

The linear probe is that of version 0.2.0, which compared its adapters with it. k nearest neighbors is what
many image searches do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from loravit_web.backbones import Base
from loravit_web.training.data import Split
from loravit_web.training.evaluation import evaluate
from loravit_web.training.prefix import compute_prefix_tokens

NEIGHBORS = 5
_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
_ITERATIONS = 300


@dataclass(frozen=True, eq=False)
class OldProbe:
    """Logistic regression on pooled features, as a linear layer.

    Attributes:
        weight: Float32 weight (C, F); the standardization is folded into it.
        bias: Float32 bias (C,).
        accuracy: Accuracy on the validation split, 0 to 1.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    accuracy: float

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, C) of features (N, F)."""
        return F.linear(features, self.weight, self.bias)


def base_features(base: Base, splits: Sequence[Split], image_size: int) -> list[torch.Tensor]:
    """Return the features (N, F) of each split by the frozen base with its own pooling.

    Args:
        base: Base in the precision of the training.
        splits: Images to read.
        image_size: Side of the input images in pixels.
    """
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        features = []
        for split in splits:
            images = compute_prefix_tokens(
                base,
                split.paths,
                base.preprocessing(image_size),
                first_block=base.depth,
                mirror=False,
                scratch=Path(scratch) / "images",
                progress=lambda _fraction: None,
            )
            features.append(base.features(images.tokens[0], base.native_pooling).clone())
    return features


def fit_old_probe(
    features: torch.Tensor,
    labels: torch.Tensor,
    validation_features: torch.Tensor,
    validation_labels: torch.Tensor,
    classes: int,
) -> OldProbe:
    """Fit the linear probe of version 0.2.0; its strength is chosen by the accuracy on the validation split.

    Args:
        features: Features (N, F) of the training images.
        labels: Class indices (N,) of the training images.
        validation_features: Features (M, F) of the validation images.
        validation_labels: Class indices (M,) of the validation images.
        classes: Number of classes C.
    """
    probes = []
    for strength in _STRENGTHS:
        weight, bias = _logistic_regression(features, labels, classes, strength)
        accuracy = evaluate(F.linear(validation_features, weight, bias), validation_labels).accuracy
        probes.append(OldProbe(weight, bias, accuracy))
    return max(probes, key=lambda probe: probe.accuracy)


def neighbor_scores(
    features: torch.Tensor, labels: torch.Tensor, asked: torch.Tensor, classes: int
) -> torch.Tensor:
    """Return the share (M, C) of each class among the five nearest images by cosine.

    A vote counts as much as the image is similar, so ties go to the nearer class.

    Args:
        features: Features (N, F) of the known images.
        labels: Class indices (N,) of the known images.
        asked: Features (M, F) of the images to classify.
        classes: Number of classes C.
    """
    similarity = F.normalize(asked, dim=1) @ F.normalize(features, dim=1).T
    nearest = similarity.topk(min(NEIGHBORS, len(labels)), dim=1)
    votes = torch.zeros(len(asked), classes)
    votes.scatter_add_(1, labels[nearest.indices], nearest.values.clamp(min=1e-6))
    return votes / votes.sum(dim=1, keepdim=True)


def _logistic_regression(
    features: torch.Tensor, labels: torch.Tensor, classes: int, strength: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight (C, F) and bias (C,) on the features as they are."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    regression = LogisticRegression(C=strength, max_iter=_ITERATIONS, class_weight="balanced")
    regression.fit(scaler.fit_transform(features.numpy()), labels.numpy())
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    if classes == 2:  # scikit-learn has one row, for their difference
        weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.array([-bias[0], bias[0]]) / 2
    return torch.from_numpy(weight).float(), torch.from_numpy(bias).float()
