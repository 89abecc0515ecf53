"""Linear layers with low-rank factors: one form for training, one for inference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from loravit_web.adapters.ops import adapted_linear, low_rank, merged_weight


class AdapterDropout(nn.Dropout):
    """Dropout in a layer of an adapter; inactive until training activates it.

    Args:
        p: Fraction of inputs to drop, 0 to 1.
    """

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.eval()


@dataclass(frozen=True, eq=False)
class LoRAFactors:
    """Low-rank change of one linear layer: ``W + scale * b @ a``.

    Attributes:
        block: Index of the block.
        path: Dotted path of the linear layer inside the block, such as ``attn.qkv``.
        a: Float32 factor A (r, in).
        b: Float32 factor B (out, r).
        scale: alpha / r, or alpha / sqrt(r) for rsLoRA.
    """

    block: int
    path: str
    a: torch.Tensor
    b: torch.Tensor
    scale: float


@dataclass(frozen=True)
class OutputSlice:
    """Outputs ``start`` to ``stop - 1`` of a linear layer, with their own rank and scale.

    Attributes:
        start: Index of the first output.
        stop: Index after the last output.
        r: Rank of the factors.
        scale: Factor of the low-rank product.
    """

    start: int
    stop: int
    r: int
    scale: float


class LoRALayer(nn.Module):
    """A frozen linear layer with trainable low-rank factors on all or some of its outputs (LoRA).

    ``y = W x + bias``, and ``y[slice] += scale * B A dropout(x)`` for each slice of the outputs (Hu et al.
    2021, arXiv 2106.09685). The factors are float32 regardless of the dtype of W.

    Args:
        base: The frozen layer; shared, never changed.
        slices: Slices of the outputs, without overlap.
        dropout: Fraction of the factors' inputs dropped during training.
        generator: Source of randomness for the initial A. B starts at zero.
    """

    def __init__(
        self,
        base: nn.Linear,
        slices: Sequence[OutputSlice],
        *,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.base = base
        self.slices = tuple(slices)
        self.dropout = AdapterDropout(dropout)
        device = base.weight.device
        self.lora_a = nn.ParameterList()
        self.lora_b = nn.ParameterList()
        for outputs in self.slices:
            a = torch.empty(outputs.r, base.in_features)
            nn.init.kaiming_uniform_(a, a=math.sqrt(5), generator=generator)
            self.lora_a.append(nn.Parameter(a.to(device)))
            self.lora_b.append(
                nn.Parameter(torch.zeros(outputs.stop - outputs.start, outputs.r, device=device))
            )

    @property
    def weight(self) -> torch.Tensor:
        """The adapted weight (out, in), for attention layers that use it without a call (EVA-01)."""
        weight = self.base.weight.clone()
        for outputs, a, b in zip(self.slices, self.lora_a, self.lora_b, strict=True):
            weight[outputs.start : outputs.stop] += (outputs.scale * b @ a).to(weight.dtype)
        return weight

    @property
    def bias(self) -> torch.Tensor | None:
        """The frozen bias (out,), or None."""
        return self.base.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (..., out) of the inputs (..., in), in the dtype of ``x``."""
        if self._is_plain:
            return self.part(x, 0, self.base.out_features)
        y: torch.Tensor = self.base(x)
        dropped = self.dropout(x)
        for outputs, a, b in zip(self.slices, self.lora_a, self.lora_b, strict=True):
            delta = low_rank(dropped, a, b * outputs.scale)
            if delta.shape == y.shape:
                return y + delta
            y[..., outputs.start : outputs.stop] += delta
        return y

    def part(self, x: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Return the outputs ``start`` to ``stop - 1`` of a layer that `has_parts`."""
        bias = None if self.base.bias is None else self.base.bias[start:stop]
        a, b = self.lora_a[0], self.lora_b[0][start:stop]
        return adapted_linear(x, self.base.weight[start:stop], bias, a, b, self.slices[0].scale)

    @property
    def has_parts(self) -> bool:
        """Whether `part` works: one slice has all outputs, and there is no dropout."""
        return self._is_whole and not self.dropout.p

    @property
    def _is_whole(self) -> bool:
        return self.slices[0].start == 0 and self.slices[0].stop == self.base.out_features

    @property
    def _is_plain(self) -> bool:
        """Whether the factors change all outputs, and read all inputs."""
        return self._is_whole and not (self.dropout.training and self.dropout.p)

    def fused(self) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Return A (r, in), B (out, r) and the scale of the whole layer, with r the sum of all ranks.

        The slices are stacked exactly: their A on top of each other, their B as a block matrix with zeros, so
        that ``scale * B @ A`` is the same change.
        """
        scale = self.slices[0].scale
        a = torch.cat([p.detach().float().cpu() for p in self.lora_a])
        b = torch.zeros(self.base.out_features, a.shape[0])
        column = 0
        for outputs, p in zip(self.slices, self.lora_b, strict=True):
            block = b[outputs.start : outputs.stop, column : column + outputs.r]
            block.copy_(p.detach().float().cpu() * (outputs.scale / scale))
            column += outputs.r
        return a, b, scale


class FrozenLoRALayer(nn.Module):
    """A linear layer with fixed low-rank factors that are computed beside it; only the factors need memory.

    Args:
        base: The frozen layer; shared, never changed.
        factors: Low-rank factors of this layer.
    """

    def __init__(self, base: nn.Linear, factors: LoRAFactors) -> None:
        super().__init__()
        self.base = base
        self.register_buffer("a", factors.a.to(base.weight.device, base.weight.dtype))
        self.register_buffer("b", (factors.b * factors.scale).to(base.weight.device, base.weight.dtype))

    @property
    def weight(self) -> torch.Tensor:
        """The adapted weight (out, in); see `LoRALayer.weight`."""
        changed = merged_weight(self.base.weight, cast(torch.Tensor, self.a), cast(torch.Tensor, self.b), 1.0)
        return changed.to(self.base.weight.dtype)

    @property
    def bias(self) -> torch.Tensor | None:
        """The frozen bias (out,), or None."""
        return self.base.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (..., out) of the inputs (..., in), in the dtype of ``x``."""
        y: torch.Tensor = self.base(x)
        return y + low_rank(x, cast(torch.Tensor, self.a), cast(torch.Tensor, self.b))
