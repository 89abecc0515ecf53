"""Where a task looked: which patches of a picture speak for a class."""

from __future__ import annotations

import torch

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base

LAYERS = 2
"""How many blocks lie behind the tokens that are weighed."""


def heatmap(base: Base, adapter: Adapter, prefix: torch.Tensor, label: int) -> torch.Tensor:
    """How much each patch speaks for a class, by gradient times activation (HiResCAM, arXiv 2011.08891).

    Semantics: with x the tokens before the last `LAYERS` blocks and z the logit of the class,
    ``relu(sum_c x[p, c] * dz/dx[p, c])`` for each patch p, divided by the largest. It needs no attention
    weights, so it holds for every type of adapter and every pooling.

    Args:
        base: that runs.
        prefix: tokens (1, N, D) of a picture of S by S pixels before block `prefix_depth`.
        label: index of the class.

    Returns:
        float32 (S / patch, S / patch) from 0 to 1; all zero when no patch speaks for the class.
    """
    at = weighed_depth(base)
    gradient, values = weighed(base, adapter, tokens_at(base, adapter, prefix, at), at, label)
    patches = (gradient * values).sum(dim=-1)[0, base.prefix_token_count :].relu()
    largest = patches.max()
    side = round(len(patches) ** 0.5)
    return (patches / largest if largest > 0 else patches).reshape(side, side)


def weighed_depth(base: Base) -> int:
    """Before which block tokens are weighed."""
    return max(0, base.depth - LAYERS)


def prefix_depth(base: Base, adapter: Adapter) -> int:
    """Before which block a heat-map leaves the trunk: where its adapter does, or already where it weighs."""
    return min(adapter.first_block, weighed_depth(base))


@torch.inference_mode()
def tokens_at(base: Base, adapter: Adapter, prefix: torch.Tensor, at: int) -> torch.Tensor:
    """Tokens (1, N, D) before block ``at`` of an adapter's way, from those before `prefix_depth`."""
    first = prefix_depth(base, adapter)
    return base.through(adapter.blocks(base)[: at - first], prefix, first)


def weighed(
    base: Base, adapter: Adapter, tokens: torch.Tensor, at: int, label: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient of a class's logit by the tokens (1, N, D) before block ``at``, and the tokens, in float32."""
    adapted = adapter.blocks(base)
    missing = max(0, adapter.first_block - at)
    blocks = [*base.blocks[at : at + missing], *adapted[max(0, at - adapter.first_block) :]]
    with torch.inference_mode(False), torch.enable_grad():
        start = tokens.clone().requires_grad_()
        features = base.features(base.through(blocks, start, at), adapter.config.pooling)
        logit = adapter.head(features)[0, label]
        (gradient,) = torch.autograd.grad(logit, start)
    return gradient.float(), start.detach().float()
