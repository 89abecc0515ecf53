"""Heat-maps: which patches of an image contribute to the logit of a class."""

from __future__ import annotations

import torch

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base

LAST_BLOCKS = 2
"""Number of blocks between the attributed tokens and the head."""


def heatmap(base: Base, adapter: Adapter, prefix: torch.Tensor, label: int) -> torch.Tensor:
    """Return how much each patch contributes to a class: gradient times activation (HiResCAM).

    With x the tokens before the last `LAST_BLOCKS` blocks and z the logit of the class, the value of patch p
    is ``relu(sum_c x[p, c] * dz/dx[p, c])``, divided by the largest value (Draelos and Carin 2020, arXiv
    2011.08891). No attention weights are needed, so it works for every adapter type and pooling.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        prefix: Tokens (1, N, D) before block `prefix_depth`, of an image of S by S pixels.
        label: Index of the class.

    Returns:
        Float32 map (S / patch, S / patch) from 0 to 1; all zero if no patch contributes to the class.
    """
    depth = attributed_depth(base)
    gradient, values = gradient_and_tokens(
        base, adapter, tokens_at(base, adapter, prefix, depth), depth, label
    )
    patches = (gradient * values).sum(dim=-1)[0, base.prefix_token_count :].relu()
    largest = patches.max()
    side = round(len(patches) ** 0.5)
    return (patches / largest if largest > 0 else patches).reshape(side, side)


def attributed_depth(base: Base) -> int:
    """Return the index of the block whose input tokens are attributed."""
    return max(0, base.depth - LAST_BLOCKS)


def prefix_depth(base: Base, adapter: Adapter) -> int:
    """Return the block at which a heat-map leaves the trunk.

    It is the adapter's first block, or the attributed block if that comes earlier.
    """
    return min(adapter.first_block, attributed_depth(base))


@torch.inference_mode()
def tokens_at(base: Base, adapter: Adapter, prefix: torch.Tensor, depth: int) -> torch.Tensor:
    """Return the adapter's tokens before a block.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        prefix: Tokens (1, N, D) before block `prefix_depth`.
        depth: Index of the block, at least `prefix_depth`.

    Returns:
        Tokens (1, N, D) before block ``depth``.
    """
    first = prefix_depth(base, adapter)
    return base.run_blocks(adapter.blocks(base)[: depth - first], prefix, first)


def gradient_and_tokens(
    base: Base, adapter: Adapter, tokens: torch.Tensor, depth: int, label: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient of a class's logit with respect to the tokens, and the tokens.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        tokens: Tokens (1, N, D) before block ``depth``.
        depth: Index of the block.
        label: Index of the class.

    Returns:
        Gradient and tokens, both float32 (1, N, D).
    """
    adapted = adapter.blocks(base)
    missing = max(0, adapter.first_block - depth)
    blocks = [*base.blocks[depth : depth + missing], *adapted[max(0, depth - adapter.first_block) :]]
    with torch.inference_mode(False), torch.enable_grad():
        start = tokens.clone().requires_grad_()
        features = base.features(base.run_blocks(blocks, start, depth), adapter.config.pooling)
        logit = adapter.head(features)[0, label]
        (gradient,) = torch.autograd.grad(logit, start)
    return gradient.float(), start.detach().float()
