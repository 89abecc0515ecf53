"""An adapter in memory: immutable, no module, ready to be put on its base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.interface import Change
from loravit_web.adapters.types import adapter_type
from loravit_web.backbones.base import Base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.errors import LoraVitError
from loravit_web.util.cores import on_all_cores


class NoFiniteAnswer(LoraVitError):
    """An answer that is infinite or no number."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """A change to a base and the head that reads it.

    Attributes:
        config: how it was made.
        base_name, base_sha256: the one base it runs on.
        preprocessing: what its pictures go through.
        class_names: in the order of the logits.
        change: see the adapter's type.
        head_weight: float32 (C, F).
        head_bias: float32 (C,).
        temperature: logits are divided by it before the softmax (Guo et al. 2017, arXiv 1706.04599).
        reference_logits: float32 (C,), what it says to `reference_image`; checked at each load.
        summary: how training went, as JSON; shown, never interpreted.
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
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first_block(self) -> int:
        """Index of the first block that differs from the base; the depth when none does."""
        return self.change.first_block

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All that was learned, the head last."""
        return (*self.change.tensors, self.head_weight, self.head_bias)

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return sum(t.nbytes for t in self.tensors)

    @property
    def parameter_count(self) -> int:
        """Trained numbers, head included."""
        return sum(t.numel() for t in self.tensors)

    def blocks(self, base: Base) -> list[nn.Module]:
        """Its blocks on ``base``, from `first_block` on."""
        return adapter_type(self.config.adapter_type).blocks(self.change, base)

    def merged_blocks(self, base: Base, master: Base) -> list[nn.Module]:
        """Its blocks on ``base`` with the change merged in, computed from the float32 ``master``."""
        return adapter_type(self.config.adapter_type).merged_blocks(self.change, base, master)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Pooled features (B, F) on any device to float32 logits (B, C) where the head is."""
        features = features.float().to(self.head_weight.device)
        return F.linear(features, self.head_weight, self.head_bias)

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits (..., C) to calibrated probabilities (..., C), finite and summing to 1.

        Raises:
            NoFiniteAnswer: for logits that are no finite numbers.
        """
        if not bool(torch.isfinite(logits).all()):
            raise NoFiniteAnswer(
                "The adapter's numbers are so large that its answer to this image is not finite: choose "
                "another version, or train it again."
            )
        scaled = logits / self.temperature
        if not bool(torch.isfinite(scaled).all()):  # too large to be divided: differences say the same
            scaled = (logits - logits.amax(dim=-1, keepdim=True)) / self.temperature
        return torch.softmax(scaled, dim=-1)


def reference_image(preprocessing: Preprocessing) -> torch.Tensor:
    """The reference image, float32 (1, 3, S, S): stripes and squares computed from integers alone."""
    side = preprocessing.image_size
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    channels = [(rows * 7 + columns * 13) % 256, (rows * columns) % 256, (rows // 9 + columns // 5) % 2 * 255]
    pixels = torch.stack(channels, dim=-1).to(torch.uint8)
    return preprocessing.normalise(pixels[None].numpy())


def answer_to_reference(base: Base, adapter: Adapter) -> torch.Tensor:
    """Logits (C,) of `reference_image`, through ``base`` as it is; exact in float32."""

    @torch.inference_mode()
    def answer() -> torch.Tensor:
        shared = adapter.preprocessing, adapter.first_block
        tokens = base.once(shared, lambda: _reference_tokens(base, *shared))
        tokens = base.through(adapter.blocks(base), tokens, adapter.first_block)
        return adapter.head(base.features(tokens, adapter.config.pooling))[0].clone()

    return on_all_cores(answer)


def _reference_tokens(base: Base, preprocessing: Preprocessing, stop: int) -> torch.Tensor:
    """Tokens (1, N, D) of `reference_image` before block ``stop``."""
    return base.advance(base.embed(reference_image(preprocessing)), 0, stop)
