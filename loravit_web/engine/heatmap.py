"""Where a task looked: which patches of a picture speak for a class."""

from __future__ import annotations

import torch

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base

LAYERS = 2
"""How many blocks lie behind the tokens that are weighed."""


def heatmap(base: Base, adapter: Adapter, image: torch.Tensor, label: int) -> torch.Tensor:
    """How much each patch speaks for a class, by gradient times activation (HiResCAM, arXiv 2011.08891).

    Semantics: with x the tokens before the last `LAYERS` blocks and z the logit of the class,
    ``relu(sum_c x[p, c] * dz/dx[p, c])`` for each patch p, divided by the largest. It needs no attention
    weights, so it holds for every type of adapter and every pooling.

    Args:
        base: that runs.
        image: normalised float32 (1, 3, S, S).
        label: index of the class.

    Returns:
        float32 (S / patch, S / patch) from 0 to 1; all zero when no patch speaks for the class.
    """
    at = max(0, base.depth - LAYERS)
    tokens = tokens_before(base, adapter, image, at)
    gradient, values = weighed(base, adapter, tokens, at, label)
    patches = (gradient * values).sum(dim=-1)[0, base.prefix_token_count :].relu()
    largest = patches.max()
    side = round(len(patches) ** 0.5)
    return (patches / largest if largest > 0 else patches).reshape(side, side)


@torch.inference_mode()
def tokens_before(base: Base, adapter: Adapter, image: torch.Tensor, at: int) -> torch.Tensor:
    """Tokens (1, N, D) of a picture before block ``at`` of an adapter's way through the base."""
    first = min(adapter.first_block, at)
    tokens = base.advance(base.embed(image), 0, first)
    return base.through(adapter.blocks(base)[: at - first], tokens, first)


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
