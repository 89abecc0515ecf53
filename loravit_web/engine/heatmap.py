"""Heat-maps: which patches of an image contribute to the logit of a class."""

from __future__ import annotations

import torch

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base, TrunkOutput

LAST_BLOCKS = 2
"""Number of blocks between the attributed tokens and the head."""


def heatmap(base: Base, adapter: Adapter, prefix: TrunkOutput, label: int) -> torch.Tensor:
    """Return how much each patch contributes to a class: gradient times activation (HiResCAM).

    With x the tokens before the last `LAST_BLOCKS` blocks that are run and z the logit of the class, the
    value of patch p is ``relu(sum_c x[p, c] * dz/dx[p, c])``, divided by the largest value (Draelos and Carin
    2020, arXiv 2011.08891). No attention weights are needed, so it works for every adapter type and readout.
    What a readout reads of earlier blocks does not depend on x and has no share.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        prefix: Output of the trunk (1, ...) before block `prefix_depth`, of an image of S by S pixels.
        label: Index of the class.

    Returns:
        Float32 map (S / patch, S / patch) from 0 to 1; all zero if no patch contributes to the class.
    """
    gradient, values = gradient_and_tokens(base, adapter, attributed(base, adapter, prefix), label)
    patches = (gradient * values).sum(dim=-1)[0, base.prefix_token_count :].relu()
    largest = patches.max()
    side = round(len(patches) ** 0.5)
    return (patches / largest if largest > 0 else patches).reshape(side, side)


def attributed_depth(base: Base, adapter: Adapter) -> int:
    """Return the index of the block whose input tokens are attributed."""
    return max(0, adapter.config.last_block(base) - LAST_BLOCKS)


def prefix_depth(base: Base, adapter: Adapter) -> int:
    """Return the block at which a heat-map leaves the trunk.

    It is the adapter's first block, or the attributed block if that comes earlier.
    """
    return min(adapter.first_block, attributed_depth(base, adapter))


@torch.inference_mode()
def attributed(base: Base, adapter: Adapter, prefix: TrunkOutput) -> TrunkOutput:
    """Return the adapter's tokens (1, N, D) before the attributed block, and the pooled values below.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        prefix: Output of the trunk before block `prefix_depth`.
    """
    first, depth = prefix_depth(base, adapter), attributed_depth(base, adapter)
    pooled: list[torch.Tensor] = []
    tokens = base.run_blocks(adapter.blocks(base)[: depth - first], prefix.tokens, first, pooled=pooled)
    below = [prefix.pooled, *(part[:, None] for part in pooled)]
    return TrunkOutput(tokens, torch.cat(below, dim=1))


def gradient_and_tokens(
    base: Base, adapter: Adapter, start: TrunkOutput, label: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient of a class's logit with respect to the tokens, and the tokens.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        start: What `attributed` returns.
        label: Index of the class.

    Returns:
        Gradient and tokens, both float32 (1, N, D).
    """
    depth, last = attributed_depth(base, adapter), adapter.config.last_block(base)
    frozen = base.blocks[depth : min(adapter.first_block, last)]
    blocks = [*frozen, *adapter.blocks(base)[max(0, depth - adapter.first_block) :]]
    with torch.inference_mode(False), torch.enable_grad():
        tokens = start.tokens.clone().requires_grad_()
        # The tokens are what the block below returned, so its pooled values depend on them.
        below = [
            start.pooled.clone()[:, : max(depth - 1, 0)],
            *([base.pool(tokens)[:, None]] if depth else []),
        ]
        own: list[torch.Tensor] = []
        after = base.run_blocks(blocks, tokens, depth, pooled=own)
        pooled = torch.cat([*below, *(part[:, None] for part in own)], dim=1)
        logit = adapter.head_of(base, after, pooled)[0, label]
        (gradient,) = torch.autograd.grad(logit, tokens)
    return gradient.float(), tokens.detach().float()
