"""Mixed batches: frozen layers run once for all rows, low-rank factors on the rows of their adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.ops import add_low_rank_
from loravit_web.backbones.base import Base
from loravit_web.backbones.plain_block import PlainBlock
from loravit_web.backbones.structure import with_replaced

LayerKey = tuple[int, str]
"""Index of the block, and dotted path of the linear layer inside it."""
Factors = Mapping[LayerKey, tuple[torch.Tensor, torch.Tensor]]
"""A (r, in) and B (out, r) by layer, in the precision of the base, with the scale folded into B."""


@dataclass(frozen=True, eq=False)
class Segment:
    """Rows of a batch that belong to one adapter.

    Attributes:
        start: Index of the first row.
        stop: Index after the last row.
        factors: Low-rank factors of the adapter.
    """

    start: int
    stop: int
    factors: Factors


# Belongs to the call that runs in this thread, and is reset after its blocks.
_SEGMENTS: ContextVar[Sequence[Segment]] = ContextVar("segments", default=())


@contextmanager
def routed(segments: Sequence[Segment]) -> Iterator[None]:
    """Set the segments of the batch for every `MultiLoRALayer` that this thread calls."""
    token = _SEGMENTS.set(segments)
    try:
        yield
    finally:
        _SEGMENTS.reset(token)


class MultiLoRALayer(nn.Module):
    """A frozen linear layer that applies another adapter to each segment of its batch.

    ``y = W x + bias``, then ``y[s] += B_s A_s x[s]`` for each segment s inside `routed` with factors for this
    layer: the segmented product of Punica (arXiv 2310.18547) in plain torch. Inference only, because ``y`` is
    changed in place.

    Args:
        base: The frozen linear layer; shared, never changed.
        key: Position of the layer in the base.
    """

    def __init__(self, base: nn.Module, key: LayerKey) -> None:
        super().__init__()
        self.base, self.key = base, key

    @property
    def weight(self) -> torch.Tensor:
        """The frozen weight (out, in), for attention layers that use it without calling the layer."""
        return cast(torch.Tensor, self.base.weight)

    @property
    def bias(self) -> torch.Tensor | None:
        """The frozen bias (out,), or None."""
        return cast("torch.Tensor | None", self.base.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the adapted outputs (B, ..., out) of the inputs (B, ..., in)."""
        y: torch.Tensor = self.base(x)
        for segment in _SEGMENTS.get():
            factors = segment.factors.get(self.key)
            if factors is not None:
                rows = slice(segment.start, segment.stop)
                add_low_rank_(y[rows], x[rows], *factors)
        return y


def multi_lora_blocks(base: Base) -> list[nn.Module]:
    """Return copies of all blocks in which each linear layer is a `MultiLoRALayer`; weights are shared."""
    blocks = []
    for index, block in enumerate(base.blocks):
        if isinstance(block, PlainBlock):
            frozen = block.layers
        else:
            frozen = {path: layer for path, layer in block.named_modules() if isinstance(layer, nn.Linear)}
        layers = {path: MultiLoRALayer(layer, (index, path)) for path, layer in frozen.items()}
        blocks.append(
            block.with_layers(layers) if isinstance(block, PlainBlock) else with_replaced(block, layers)
        )
    return blocks


def called_layers(base: Base, blocks: Sequence[nn.Module]) -> frozenset[LayerKey]:
    """Return the layers of `multi_lora_blocks` that the blocks call in a forward pass.

    The weights of the others are used without a call, so a mixed batch cannot adapt them.
    """
    called: set[LayerKey] = set()

    def record(layer: nn.Module, _inputs: Any) -> None:
        assert isinstance(layer, MultiLoRALayer)
        called.add(layer.key)

    layers = [m for block in blocks for m in block.modules() if isinstance(m, MultiLoRALayer)]
    hooks = [layer.register_forward_pre_hook(record) for layer in layers]
    count = base.token_count(base.trial_size)
    try:
        with torch.inference_mode():
            tokens = torch.zeros(1, count, base.embed_dim, dtype=base.dtype, device=base.device)
            base.run_blocks(blocks, tokens, 0)
    finally:
        for hook in hooks:
            hook.remove()
    return frozenset(called)


def running_factors(adapter: Adapter, base: Base) -> Factors:
    """Return the factors of an adapter in the form that mixed batches use.

    What the blocks of the base have folded into the outputs of a layer is folded into B too.
    """
    device, dtype, factors = base.device, base.dtype, {}
    for f in adapter.change.factors or ():
        block, b = base.blocks[f.block], f.b * f.scale
        gamma = block.scales[f.path] if isinstance(block, PlainBlock) else None
        if gamma is not None:
            b = b * gamma.float()[:, None]
        factors[f.block, f.path] = (f.a.to(device, dtype), b.to(device, dtype))
    return factors
