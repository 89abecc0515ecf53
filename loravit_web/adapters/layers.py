"""Linear layers with low-rank factors beside them: one form to train, one to serve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from loravit_web.adapters.ops import low_rank, merged_weight


class AdapterDropout(nn.Dropout):
    """Dropout of an adapter's own layer, off unless its training turns it on."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.eval()


@dataclass(frozen=True, eq=False)
class LoRAFactors:
    """The change of one linear layer: ``W + scale * b @ a``.

    Attributes:
        block: index of the block.
        path: of the linear layer inside the block, such as ``attn.qkv``.
        a: float32 (r, in).
        b: float32 (out, r).
        scale: alpha / r, or alpha / sqrt(r) for rsLoRA.
    """

    block: int
    path: str
    a: torch.Tensor
    b: torch.Tensor
    scale: float


@dataclass(frozen=True)
class Part:
    """Outputs ``start`` to ``stop - 1`` of a linear layer, with their own rank and scale."""

    start: int
    stop: int
    r: int
    scale: float


class LoRALayer(nn.Module):
    """A frozen linear layer plus trainable low-rank factors on all or some of its outputs.

    ``y = W x + bias``, and for each part of the outputs ``y[part] += scale * B A dropout(x)`` (Hu et al.
    2021, arXiv 2106.09685). The factors are float32 whatever the precision of W.
    """

    def __init__(
        self,
        base: nn.Linear,
        parts: Sequence[Part],
        *,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        """
        Args:
            base: the frozen layer; shared, never changed.
            parts: of the outputs, without overlap.
            dropout: on the input of the factors, while training.
            generator: source of the initial A; B starts at zero.
        """
        super().__init__()
        self.base = base
        self.parts = tuple(parts)
        self.dropout = AdapterDropout(dropout)
        device = base.weight.device
        self.lora_a = nn.ParameterList()
        self.lora_b = nn.ParameterList()
        for part in self.parts:
            a = torch.empty(part.r, base.in_features)
            nn.init.kaiming_uniform_(a, a=math.sqrt(5), generator=generator)
            self.lora_a.append(nn.Parameter(a.to(device)))
            self.lora_b.append(nn.Parameter(torch.zeros(part.stop - part.start, part.r, device=device)))

    @property
    def weight(self) -> torch.Tensor:
        """The changed weight (out, in), for attentions that use it without calling the layer (EVA-01)."""
        weight = self.base.weight.clone()
        for part, a, b in zip(self.parts, self.lora_a, self.lora_b, strict=True):
            weight[part.start : part.stop] += (part.scale * b @ a).to(weight.dtype)
        return weight

    @property
    def bias(self) -> torch.Tensor | None:
        """The frozen bias."""
        return self.base.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out), in the dtype of ``x``."""
        y: torch.Tensor = self.base(x)
        dropped = self.dropout(x)
        for part, a, b in zip(self.parts, self.lora_a, self.lora_b, strict=True):
            delta = low_rank(dropped, a, b * part.scale)
            if delta.shape == y.shape:
                return y + delta
            y[..., part.start : part.stop] += delta
        return y

    def fused(self) -> tuple[torch.Tensor, torch.Tensor, float]:
        """The whole layer's A (r, in), B (out, r) and scale, r the sum of the parts' ranks.

        Parts stack exactly: A on top of each other, B block by block with zeros between, so that
        ``scale * B @ A`` is the same change.
        """
        scale = self.parts[0].scale
        a = torch.cat([p.detach().float().cpu() for p in self.lora_a])
        b = torch.zeros(self.base.out_features, a.shape[0])
        column = 0
        for part, p in zip(self.parts, self.lora_b, strict=True):
            block = b[part.start : part.stop, column : column + part.r]
            block.copy_(p.detach().float().cpu() * (part.scale / scale))
            column += part.r
        return a, b, scale


class FrozenLoRALayer(nn.Module):
    """A linear layer and its fixed low-rank factors, computed side by side: memory for the factors alone."""

    def __init__(self, base: nn.Linear, factors: LoRAFactors) -> None:
        super().__init__()
        self.base = base
        self.register_buffer("a", factors.a.to(base.weight.device, base.weight.dtype))
        self.register_buffer("b", (factors.b * factors.scale).to(base.weight.device, base.weight.dtype))

    @property
    def weight(self) -> torch.Tensor:
        """The changed weight (out, in); see `LoRALayer.weight`."""
        changed = merged_weight(self.base.weight, cast(torch.Tensor, self.a), cast(torch.Tensor, self.b), 1.0)
        return changed.to(self.base.weight.dtype)

    @property
    def bias(self) -> torch.Tensor | None:
        """The frozen bias."""
        return self.base.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out), in the dtype of ``x``."""
        y: torch.Tensor = self.base(x)
        return y + low_rank(x, cast(torch.Tensor, self.a), cast(torch.Tensor, self.b))
