"""A trained adapter in memory: immutable tensors that are applied to a base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.interface import Change
from loravit_web.adapters.labels import READINGS
from loravit_web.adapters.novelty import Novelty
from loravit_web.adapters.readout import last_block, read
from loravit_web.adapters.types import adapter_type
from loravit_web.backbones.base import Base, TrunkOutput
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.errors import LoraVitError
from loravit_web.util.cores import on_all_cores


class NonFiniteLogits(LoraVitError):
    """Logits that are infinite or NaN."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """A change to a base, and the head that reads its features.

    Attributes:
        config: Configuration that it was trained with.
        base_name: Name of the base that it runs on.
        base_sha256: Hash of the weights of that base.
        preprocessing: Preprocessing of its input images.
        class_names: Names of the C classes, in the order of the logits.
        change: Trained tensors of the adapter type.
        head_weight: Float32 weight (C, F) of the head. Its columns belong to the pooled features of the last
            block, and then to the taps of the readout.
        head_bias: Float32 bias (C,) of the head.
        temperature: Divisor of the logits before the softmax or sigmoid, for temperature scaling (Guo et al.
            2017, arXiv 1706.04599).
        reference_logits: Float32 logits (C,) of `reference_image`, checked at each load.
        thresholds: Probability from which an image has each of the C classes; empty if it has exactly one.
        novelty: Model of the training images that tells unlike images, or None.
        summary: Facts about the training as JSON, for display only.
    """

    config: ViTAdapterConfig
    base_name: str
    base_sha256: str
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    change: Change
    head_weight: torch.Tensor
    head_bias: torch.Tensor
    temperature: float
    reference_logits: torch.Tensor
    thresholds: tuple[float, ...] = ()
    novelty: Novelty | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first_block(self) -> int:
        """Index of the first block that differs from the base, or the base's depth if none does."""
        return self.change.first_block

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All trained tensors, the head last."""
        return (*self.change.tensors, self.head_weight, self.head_bias)

    @property
    def nbytes(self) -> int:
        """Size of the tensors in bytes, including the model of the training images."""
        known = () if self.novelty is None else self.novelty.tensors
        return sum(t.nbytes for t in (*self.tensors, *known))

    @property
    def parameter_count(self) -> int:
        """Number of trained parameters, including the head."""
        return sum(t.numel() for t in self.tensors)

    def blocks(self, base: Base) -> list[nn.Module]:
        """Return the adapted blocks on ``base``, from `first_block` on."""
        return adapter_type(self.config.adapter_type).blocks(self.change, base)

    def merged_blocks(self, base: Base, master: Base) -> list[nn.Module]:
        """Return the adapted blocks on ``base``, merged into the float32 weights of ``master``."""
        return adapter_type(self.config.adapter_type).merged_blocks(self.change, base, master)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Return float32 logits (B, C) of the head's features (B, F), on the device of the head."""
        features = features.float().to(self.head_weight.device)
        return F.linear(features, self.head_weight, self.head_bias)

    def logits(
        self, base: Base, blocks: Sequence[nn.Module], tokens: torch.Tensor, pooled: torch.Tensor
    ) -> torch.Tensor:
        """Return float32 logits (B, C) of images that left the trunk.

        Args:
            base: Base that runs.
            blocks: The adapted blocks, in any form.
            tokens: Tokens (B, N, D) before block `first_block`.
            pooled: Float32 `Base.parts` (B, L, P, D) of the blocks below.
        """
        own: list[torch.Tensor] | None = [] if self.reads_own_blocks else None
        tokens = base.run_blocks(blocks, tokens, self.first_block, pooled=own)
        if own:
            pooled = torch.cat([pooled, torch.stack(own, dim=1)], dim=1)
        return self.head_of(base, tokens, pooled)

    def head_of(self, base: Base, tokens: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        """Return float32 logits (B, C) of tokens (B, N, D) after the last block.

        Args:
            base: Base that ran.
            tokens: Tokens (B, N, D) after the last block that was run.
            pooled: Float32 `Base.parts` (B, L, P, D) of all blocks that the readout names.
        """
        features = base.features(tokens, self.config.pooling)
        if self.config.taps:
            features = torch.cat([features, read(self.config.taps, base, pooled)], dim=-1)
        return self.head(features)

    @property
    def reads_own_blocks(self) -> bool:
        """Whether the readout names blocks that the adapter changes."""
        return last_block(self.config.taps) > self.first_block

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return calibrated probabilities (..., C) of logits (..., C); for one label their sum is 1.

        Raises:
            NonFiniteLogits: If a logit is infinite or NaN.
        """
        if not bool(torch.isfinite(logits).all()):
            raise NonFiniteLogits(
                "The adapter's logits for this image are not finite. Choose another version, or train the "
                "adapter again."
            )
        return READINGS[self.config.labels].probabilities(logits, self.temperature)

    def log_odds(self, logits: torch.Tensor, label: int) -> torch.Tensor:
        """Return the log odds (...) of a class, calibrated, from logits (..., C).

        They grow with the probability of the class, and do not saturate as it does.
        """
        return READINGS[self.config.labels].log_odds(logits / self.temperature, label)

    def answer(self, scores: torch.Tensor) -> list[int]:
        """Return the indices of the classes that an image has by its probabilities (C,), the best first."""
        return READINGS[self.config.labels].answer(scores, self.thresholds)


def reference_image(preprocessing: Preprocessing) -> torch.Tensor:
    """Return the reference image, normalized float32 (1, 3, S, S).

    Its stripes and squares are computed from integers.
    """
    side = preprocessing.image_size
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    channels = [(rows * 7 + columns * 13) % 256, (rows * columns) % 256, (rows // 9 + columns // 5) % 2 * 255]
    pixels = torch.stack(channels, dim=-1).to(torch.uint8)
    return preprocessing.normalize(pixels[None].numpy())


def compute_reference_logits(base: Base, adapter: Adapter) -> torch.Tensor:
    """Return the logits (C,) of `reference_image`, computed by ``base`` in its own precision."""

    @torch.inference_mode()
    def compute() -> torch.Tensor:
        shared = adapter.preprocessing, adapter.first_block
        tokens, pooled = base.cached(shared, lambda: _reference_trunk(base, *shared))
        return adapter.logits(base, adapter.blocks(base), tokens, pooled)[0].clone()

    return on_all_cores(compute)


def _reference_trunk(base: Base, preprocessing: Preprocessing, stop: int) -> TrunkOutput:
    """Return what the trunk of ``stop`` blocks computes for `reference_image`."""
    return base.trunk(base.embed(reference_image(preprocessing)), 0, stop)
