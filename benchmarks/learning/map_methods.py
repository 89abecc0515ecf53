"""Ways to find the patches of an image that support a class, to compare by deletion and insertion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch

from loravit_web.adapters import Adapter
from loravit_web.backbones import Base
from loravit_web.backbones.base import TrunkOutput
from loravit_web.engine.heatmap import (
    Integration,
    Score,
    attributed_tokens,
    chosen_integration,
    contributions,
    log_probability,
    prefix_depth,
    score_gradient,
)

_BEFORE_BLOCKS = 2


@dataclass(frozen=True, eq=False)
class Shown:
    """An image as a task sees it.

    Attributes:
        base: Base that runs.
        adapter: Adapter of the task.
        image: Normalized image (1, 3, S, S).
        blurred: The same image blurred.
        label: Index of the class that the task answers.
    """

    base: Base
    adapter: Adapter
    image: torch.Tensor
    blurred: torch.Tensor
    label: int

    def start(self, depth: int, *, blurred: bool = False) -> TrunkOutput:
        """Return what the trunk computes for the image, for a map with gradients before block ``depth``."""
        with torch.inference_mode():
            tokens = self.base.embed(self.blurred if blurred else self.image)
            return self.base.trunk(tokens, 0, prefix_depth(self.adapter, depth))


Method = Callable[[Shown], torch.Tensor]
"""Returns the value (P,) of each patch; the hottest are the largest."""


def logit(logits: torch.Tensor, label: int) -> torch.Tensor:
    """Return the logit (B,) of a class from logits (B, C)."""
    return logits[:, label]


def margin(logits: torch.Tensor, label: int) -> torch.Tensor:
    """Return the lead (B,) of a class over the best other one, from logits (B, C)."""
    others = logits.clone()
    others[:, label] = -torch.inf
    return logits[:, label] - others.amax(dim=-1)


def _chosen(shown: Shown) -> torch.Tensor:
    integration = chosen_integration(shown.base, shown.adapter)
    return contributions(shown.base, shown.adapter, shown.start(integration.depth), shown.label, integration)


def _integrated(
    shown: Shown, *, before_last: int, steps: int = 3, score: Score = log_probability, blurred: bool = False
) -> torch.Tensor:
    """Integrate gradients over the tokens before so many blocks of the head, from the mean patch token.

    Args:
        shown: The image.
        before_last: Number of blocks between the attributed tokens and the head.
        steps: Number of points on the path.
        score: Score of the class.
        blurred: Whether the path begins at the tokens of the blurred image instead.
    """
    depth = max(0, shown.adapter.config.last_block(shown.base) - before_last)
    empty = None
    if blurred:
        start = shown.start(depth, blurred=True)
        empty = attributed_tokens(shown.base, shown.adapter, start, depth).tokens
    return contributions(
        shown.base,
        shown.adapter,
        shown.start(depth),
        shown.label,
        Integration(depth, steps),
        score=score,
        empty=empty,
    )


def _gradient_times_activation(shown: Shown) -> torch.Tensor:
    """Weigh the tokens before the last two blocks by the gradient of the logit (Draelos and Carin 2020)."""
    base, adapter = shown.base, shown.adapter
    depth = max(0, adapter.config.last_block(base) - _BEFORE_BLOCKS)
    tokens, pooled = attributed_tokens(base, adapter, shown.start(depth), depth)
    gradient = score_gradient(base, adapter, depth, tokens, pooled, shown.label, logit)
    return (gradient * tokens).sum(dim=-1)[0, base.prefix_token_count :]


def _smoothed(shown: Shown) -> torch.Tensor:
    """Average the chosen map over 3 x 3 patches."""
    patches = _chosen(shown)
    side = round(len(patches) ** 0.5)
    grid = patches.view(1, 1, side, side)
    return torch.nn.functional.avg_pool2d(grid, 3, 1, 1, count_include_pad=False).flatten()


CHOSEN, BEFORE = "chosen", "gradient times activation (before)"
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        BEFORE: _gradient_times_activation,
        CHOSEN: _chosen,
        "integrated, last 4 blocks, 3 points": partial(_integrated, before_last=4),
        "the same, logit": partial(_integrated, before_last=4, score=logit),
        "the same, lead over the next class": partial(_integrated, before_last=4, score=margin),
        "the same, from the blurred image": partial(_integrated, before_last=4, blurred=True),
        "integrated, last 4 blocks, 6 points": partial(_integrated, before_last=4, steps=6),
        "integrated, last 7 blocks, 3 points": partial(_integrated, before_last=7),
        "integrated, last 9 blocks, 1 point": partial(_integrated, before_last=9, steps=1),
        "integrated, last 9 blocks, 2 points": partial(_integrated, before_last=9, steps=2),
        "integrated, last 9 blocks, 3 points": partial(_integrated, before_last=9),
        "the same, from the blurred image, last 9": partial(_integrated, before_last=9, blurred=True),
        "integrated, all 12 blocks, from the blurred image": partial(
            _integrated, before_last=12, blurred=True
        ),
        "chosen, smoothed over 3 x 3 patches": _smoothed,
    }
)
"""Ways to compare, by name."""
