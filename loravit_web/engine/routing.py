"""Mixed batches: frozen layers computed once for all rows, each adapter's factors on its own rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.ops import add_low_rank_
from loravit_web.backbones.base import Base
from loravit_web.backbones.structure import with_replaced

LayerKey = tuple[int, str]
"""Index of the block, and path of the linear layer in it."""
Factors = Mapping[LayerKey, tuple[torch.Tensor, torch.Tensor]]
"""A (r, in) and B (out, r) by layer, in the precision that runs, the scale folded into B."""


@dataclass(frozen=True, eq=False)
class Segment:
    """Rows of a batch that belong to one adapter.

    Attributes:
        start, stop: the rows.
    """

    start: int
    stop: int
    factors: Factors


# Of the call that runs in this thread alone: set for the time of a block, nothing outlives it.
_SEGMENTS: ContextVar[Sequence[Segment]] = ContextVar("segments", default=())


@contextmanager
def routed(segments: Sequence[Segment]) -> Iterator[None]:
    """Let every `MultiLoRALayer` that this thread calls adapt these rows."""
    token = _SEGMENTS.set(segments)
    try:
        yield
    finally:
        _SEGMENTS.reset(token)


class MultiLoRALayer(nn.Module):
    """A frozen linear layer that adapts each segment of its batch by another adapter.

    Semantics: ``y = W x + bias``, then ``y[s] += B_s A_s x[s]`` for each segment s inside `routed` that
    has factors for this layer (the segmented product of Punica, arXiv 2310.18547, in plain torch). Without
    gradients only.
    """

    def __init__(self, base: nn.Linear, key: LayerKey) -> None:
        super().__init__()
        self.base, self.key = base, key

    @property
    def weight(self) -> torch.Tensor:
        """The frozen weight, for attentions that use it without calling the layer."""
        return self.base.weight

    @property
    def bias(self) -> torch.Tensor | None:
        """The frozen bias."""
        return self.base.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, ..., in) to (B, ..., out)."""
        y: torch.Tensor = self.base(x)
        for segment in _SEGMENTS.get():
            factors = segment.factors.get(self.key)
            if factors is not None:
                rows = slice(segment.start, segment.stop)
                add_low_rank_(y[rows], x[rows], *factors)
        return y


def multi_lora_blocks(base: Base) -> list[nn.Module]:
    """Copies of all blocks, sharing every weight, in which each linear layer is a `MultiLoRALayer`."""
    blocks = []
    for index, block in enumerate(base.blocks):
        layers: dict[str, nn.Module] = {
            path: MultiLoRALayer(module, (index, path))
            for path, module in block.named_modules()
            if isinstance(module, nn.Linear)
        }
        blocks.append(with_replaced(block, layers))
    return blocks


def called_layers(base: Base, blocks: Sequence[nn.Module]) -> frozenset[LayerKey]:
    """The layers of `multi_lora_blocks` that the blocks really call: the others can't be adapted there."""
    called: set[LayerKey] = set()

    def note(layer: nn.Module, _inputs: Any) -> None:
        assert isinstance(layer, MultiLoRALayer)
        called.add(layer.key)

    layers = [m for block in blocks for m in block.modules() if isinstance(m, MultiLoRALayer)]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    count = base.token_count(base.trial_size)
    try:
        with torch.inference_mode():
            tokens = torch.zeros(1, count, base.embed_dim, dtype=base.dtype, device=base.device)
            base.through(blocks, tokens, 0)
    finally:
        for hook in hooks:
            hook.remove()
    return frozenset(called)


def running_factors(adapter: Adapter, base: Base) -> Factors:
    """The factors of an adapter as mixed batches use them."""
    device, dtype = base.device, base.dtype
    return {
        (f.block, f.path): (f.a.to(device, dtype), (f.b * f.scale).to(device, dtype))
        for f in adapter.change.factors or ()
    }
