"""Heat maps: which patches of an image raise the score of a class.

The method is integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) on tokens of the trunk instead
of pixels. ``python -m benchmarks maps`` compares it with others by deletion and insertion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base, TrunkOutput
from loravit_web.util.cores import on_all_cores

STEPS = 2
"""Number of points on the path."""
BEGIN = 1 / 3
"""Where the path begins between the blurred image and the image; gradients before it only add noise."""
EARLIEST = 4
"""Divisor of the base's depth that gives the earliest block whose input tokens are attributed."""
FEWEST_BLOCKS = 4
"""Number of blocks that are run after the attributed tokens even if the image is large."""
WORK = 1000
"""Tokens times blocks times points that fit into the time of a heat map.

An image of 112 px has 65 tokens, so two points fit through seven blocks.
"""
MAX_TOKENS = 600
"""Tokens of the points that are computed together.

It bounds the memory, and the time for which answers wait.
"""
BLUR = 8
"""Divisor of the image's side that gives the standard deviation of the blur."""

Score = Callable[[torch.Tensor, int], torch.Tensor]
"""Returns the score (B,) of a class from logits (B, C)."""


class Starts(NamedTuple):
    """What the trunk computes for an image and for the blurred image.

    Attributes:
        image: Output (1, ...) for the image of S by S pixels.
        blurred: Output (1, ...) for the image that `blurred` returns.
    """

    image: TrunkOutput
    blurred: TrunkOutput


@dataclass(frozen=True)
class Integration:
    """Where gradients are taken, and over how many points they are integrated.

    Attributes:
        depth: Index of the block whose input tokens are attributed.
        steps: Number of points on the path.
        begin: Where the path begins, from 0 at the blurred image to below 1 at the image.
    """

    depth: int
    steps: int = STEPS
    begin: float = BEGIN


def blurred(images: torch.Tensor) -> torch.Tensor:
    """Return images (B, 3, S, S) blurred by a Gaussian whose standard deviation is S / `BLUR`."""
    places = torch.arange(images.shape[-1], dtype=images.dtype)
    kernel = torch.exp(-(((places[:, None] - places) * BLUR / len(places)) ** 2) / 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    return kernel @ images @ kernel.T


def heatmap(base: Base, adapter: Adapter, starts: Starts, label: int) -> torch.Tensor:
    """Return how much each patch of an image raises the score of a class.

    Let x be the tokens of the image before block `Integration.depth`, e the same tokens with patch tokens
    that are a third of the way from the blurred image to the image, and s the log odds of the class. Then the
    value of patch p is ``relu(sum_c (x - e)[p, c] * mean_a ds/dx[p, c](e + a (x - e)))``, divided by the
    largest value. The mean is over points a on the path from e to x. No attention weights are needed, so it
    works for every adapter type and readout. Log odds do not saturate where the class is certain, as its
    probability does.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        starts: Outputs of the trunk before block `prefix_depth`.
        label: Index of the class.

    Returns:
        Float32 map (S / patch, S / patch) from 0 to 1; all zero if no patch raises the score.
    """
    found = contributions(base, adapter, starts, label, chosen_integration(base, adapter))
    patches = found.nan_to_num(0, 0, 0).relu()
    largest = patches.max()
    side = round(len(patches) ** 0.5)
    return (patches / largest if largest > 0 else patches).reshape(side, side)


def chosen_integration(base: Base, adapter: Adapter) -> Integration:
    """Return where the heat maps of an adapter take gradients.

    The earlier the block, the longer it takes. What a readout reads of earlier blocks would have no share, so
    it is not later than the first block of the readout.
    """
    last, tokens = adapter.config.last_block(base), base.token_count(adapter.preprocessing.image_size)
    blocks = max(FEWEST_BLOCKS, WORK // (STEPS * tokens))
    first_read = min((tap.block for tap in adapter.config.taps), default=last)
    return Integration(max(0, min(max(base.depth // EARLIEST, last - blocks), first_read, last - 1)))


def prefix_depth(adapter: Adapter, depth: int) -> int:
    """Return the block at which a map leaves the trunk: the first one that is adapted or attributed."""
    return min(adapter.first_block, depth)


def contributions(
    base: Base,
    adapter: Adapter,
    starts: Starts,
    label: int,
    integration: Integration,
    *,
    score: Score | None = None,
) -> torch.Tensor:
    """Return what each of P patches contributes to the score of a class: float32 (P,), in nats.

    The contributions add up to about the difference of the scores at both ends of the path.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        starts: Outputs of the trunk before block `prefix_depth`.
        label: Index of the class.
        integration: Where gradients are taken.
        score: Score of the class, or None for its log odds.
    """
    tokens, pooled = on_all_cores(partial(attributed_tokens, base, adapter, starts.image, integration.depth))
    other = on_all_cores(partial(attributed_tokens, base, adapter, starts.blurred, integration.depth)).tokens
    count = base.prefix_token_count
    details = torch.cat([torch.zeros_like(tokens[:, :count]), (tokens - other)[:, count:]], dim=1)
    difference = (1 - integration.begin) * details
    begin = tokens - difference
    places = (torch.arange(integration.steps) + 0.5) / integration.steps
    gradient = torch.zeros_like(difference, dtype=torch.float32)
    for some in torch.split(places.to(difference), max(1, MAX_TOKENS // difference.shape[1])):
        points = begin + some[:, None, None] * difference
        step = partial(score_gradient, base, adapter, integration.depth, points, pooled, label, score)
        gradient += on_all_cores(step).sum(dim=0)
    total = gradient / integration.steps * difference.float()
    return total.sum(dim=-1)[0, count:].cpu()


@torch.inference_mode()
def attributed_tokens(base: Base, adapter: Adapter, start: TrunkOutput, depth: int) -> TrunkOutput:
    """Return the adapter's tokens (1, N, D) before a block, and the pooled values below.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        start: Output of the trunk before block `prefix_depth`.
        depth: Index of the block.
    """
    first = prefix_depth(adapter, depth)
    pooled: list[torch.Tensor] = []
    tokens = base.run_blocks(adapter.blocks(base)[: depth - first], start.tokens, first, pooled=pooled)
    return TrunkOutput(tokens, torch.cat([start.pooled, *(part[:, None] for part in pooled)], dim=1))


def score_gradient(
    base: Base,
    adapter: Adapter,
    depth: int,
    points: torch.Tensor,
    pooled: torch.Tensor,
    label: int,
    score: Score | None = None,
) -> torch.Tensor:
    """Return the gradient of the score of a class with respect to tokens.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        depth: Index of the block whose input the tokens are.
        points: Tokens (B, N, D).
        pooled: Pooled values (1, ``depth``, P, D) of the blocks below.
        label: Index of the class.
        score: Score of the class, or None for its log odds.

    Returns:
        Float32 gradient (B, N, D).
    """
    with torch.inference_mode(False), torch.enable_grad():
        tokens = points.clone().requires_grad_()
        logits = remaining_logits(base, adapter, depth, tokens, pooled.clone())
        scores = (score or adapter.log_odds)(logits, label)
        (gradient,) = torch.autograd.grad(scores.sum(), tokens)
    return gradient.float()


def remaining_logits(
    base: Base, adapter: Adapter, depth: int, tokens: torch.Tensor, pooled: torch.Tensor
) -> torch.Tensor:
    """Return the logits (B, C) of tokens (B, N, D) before a block.

    Args:
        base: Base that runs.
        adapter: Adapter of the task.
        depth: Index of the block.
        tokens: Tokens that the block below returned, so its pooled values are computed from them.
        pooled: Pooled values (1, ``depth``, P, D) of the blocks below; those of the last one are not used.
    """
    frozen = base.blocks[depth : min(adapter.first_block, adapter.config.last_block(base))]
    blocks = [*frozen, *adapter.blocks(base)[max(0, depth - adapter.first_block) :]]
    blocks = list(base.fastest_blocks(adapter.config.poolings(base), blocks))
    if tokens.shape[1] > MAX_TOKENS:
        blocks = [_Recomputed(block) for block in blocks]
    parts = [pooled[:, : max(depth - 1, 0)].expand(len(tokens), -1, -1, -1)]
    parts += [base.pool(tokens)[:, None]] if depth else []
    own: list[torch.Tensor] = []
    after = base.run_blocks(blocks, tokens, depth, pooled=own)
    return adapter.head_of(base, after, torch.cat([*parts, *(part[:, None] for part in own)], dim=1))


class _Recomputed(nn.Module):
    """A block that is computed once more for its gradient, so that a large image takes the memory of one."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, tokens: torch.Tensor, **options: Any) -> torch.Tensor:
        """Return the tokens (B, N, D) after the block."""
        result: torch.Tensor = checkpoint(self.block, tokens, use_reentrant=False, **options)
        return result
