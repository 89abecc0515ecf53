"""Novelty: how unlike the training images an image is, by a feature of the trunk.

The feature is standardized and projected onto the principal directions of the training images. What they
leave over is the residual, which grows with everything that the training images did not vary in (Wang et al.
2022, "ViM", arXiv 2203.10807, use the same residual). The engine caches the feature with the prefix tokens,
so an answer costs no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from loravit_web.adapters.readout import Readout, read
from loravit_web.backbones.base import Base


@dataclass(frozen=True, eq=False)
class Novelty:
    """A model of the training images, with F features and k directions.

    Attributes:
        readout: Features of the trunk that it reads.
        center: Float32 mean (F,) of the training images.
        scale: Float32 standard deviation (F,) of the training images.
        directions: Float32 orthonormal principal directions (k, F) of the standardized features.
        threshold: Residual above which an image is unlike the training images.
    """

    readout: Readout
    center: torch.Tensor
    scale: torch.Tensor
    directions: torch.Tensor
    threshold: float

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors."""
        return self.center, self.scale, self.directions

    def residual(self, base: Base, pooled: torch.Tensor) -> torch.Tensor:
        """Return the mean squared residual (B,) of pooled values (B, L, P, D)."""
        z = (read(self.readout, base, pooled).to(self.center.device) - self.center) / self.scale
        inside = z @ self.directions.T
        return ((z**2).sum(dim=1) - (inside**2).sum(dim=1)).clamp(min=0) / z.shape[1]

    def ratio(self, base: Base, pooled: torch.Tensor) -> torch.Tensor:
        """Return the residual (B,) over the threshold; above 1 an image is unlike the training images."""
        return self.residual(base, pooled) / self.threshold
