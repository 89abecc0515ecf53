"""Ways to find the patches of an image that support a class, to compare by deletion and insertion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import torch

from loravit_web.adapters import Adapter
from loravit_web.backbones import Base
from loravit_web.backbones.base import TrunkOutput
from loravit_web.engine.heatmap import (
    BEGIN,
    STEPS,
    Integration,
    Score,
    Starts,
    attributed_tokens,
    blurred,
    chosen_integration,
    contributions,
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
        label: Index of the class that the task answers.
    """

    base: Base
    adapter: Adapter
    image: torch.Tensor
    label: int

    def starts(self, depth: int) -> Starts:
        """Return what the trunk computes, for a map with gradients before block ``depth``."""
        with torch.inference_mode():
            return Starts(*(self._start(image, depth) for image in (self.image, blurred(self.image))))

    def _start(self, image: torch.Tensor, depth: int) -> TrunkOutput:
        return self.base.trunk(self.base.embed(image), 0, prefix_depth(self.adapter, depth))


Method = Callable[[Shown], torch.Tensor]
"""Returns the value (P,) of each patch; the hottest are the largest."""


def logit(logits: torch.Tensor, label: int) -> torch.Tensor:
    """Return the logit (B,) of a class from logits (B, C)."""
    return logits[:, label]


def log_probability(logits: torch.Tensor, label: int) -> torch.Tensor:
    """Return the logarithm (B,) of the probability of a class from logits (B, C)."""
    return torch.log_softmax(logits, dim=-1)[:, label]


def lead(logits: torch.Tensor, label: int) -> torch.Tensor:
    """Return the lead (B,) of a class over the best other one, from logits (B, C)."""
    others = [index for index in range(logits.shape[-1]) if index != label]
    return logits[:, label] - logits[:, others].amax(dim=-1)


def _chosen(shown: Shown) -> torch.Tensor:
    integration = chosen_integration(shown.base, shown.adapter)
    starts = shown.starts(integration.depth)
    return contributions(shown.base, shown.adapter, starts, shown.label, integration)


def _integrated(
    shown: Shown,
    *,
    blocks: int,
    steps: int = STEPS,
    begin: float = BEGIN,
    score: Score | None = None,
    from_mean: bool = False,
) -> torch.Tensor:
    """Integrate gradients over the tokens before the last blocks of the head.

    Args:
        shown: The image.
        blocks: Number of blocks between the attributed tokens and the head, at least those that are adapted.
        steps: Number of points on the path.
        begin: Where the path begins; see `Integration`.
        score: Score of the class, or None for its log odds.
        from_mean: Whether the path comes from the mean patch token instead of the blurred image.
    """
    depth = max(0, shown.adapter.config.last_block(shown.base) - blocks)
    starts = shown.starts(depth)
    if from_mean:
        tokens = starts.image.tokens
        mean = tokens[:, shown.base.prefix_token_count :].mean(dim=1, keepdim=True)
        starts = starts._replace(blurred=starts.image._replace(tokens=mean.expand_as(tokens)))
    integration = Integration(depth, steps, begin)
    return contributions(shown.base, shown.adapter, starts, shown.label, integration, score=score)


def _gradient_times_activation(shown: Shown) -> torch.Tensor:
    """Weigh the tokens before the last two blocks by the gradient of the logit (Draelos and Carin 2020)."""
    base, adapter = shown.base, shown.adapter
    depth = max(0, adapter.config.last_block(base) - _BEFORE_BLOCKS)
    tokens, pooled = attributed_tokens(base, adapter, shown.starts(depth).image, depth)
    gradient = score_gradient(base, adapter, depth, tokens, pooled, shown.label, logit)
    return (gradient * tokens).sum(dim=-1)[0, base.prefix_token_count :]


def _smoothed(shown: Shown) -> torch.Tensor:
    """Average the chosen map over 3 x 3 patches."""
    patches = _chosen(shown)
    side = round(len(patches) ** 0.5)
    grid = patches.view(1, 1, side, side)
    return torch.nn.functional.avg_pool2d(grid, 3, 1, 1, count_include_pad=False).flatten()


CHOSEN, BEFORE = "chosen", "gradient times activation (before)"
_WHOLE: Mapping[str, Any] = MappingProxyType({"steps": 3, "begin": 0.0})
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        BEFORE: _gradient_times_activation,
        CHOSEN: _chosen,
        "4 blocks, mean token, whole path, logit": partial(
            _integrated, blocks=4, **_WHOLE, score=logit, from_mean=True
        ),
        "4 blocks, mean token, whole path": partial(_integrated, blocks=4, **_WHOLE, from_mean=True),
        "4 blocks, whole path, logit": partial(_integrated, blocks=4, **_WHOLE, score=logit),
        "4 blocks, whole path, log probability": partial(
            _integrated, blocks=4, **_WHOLE, score=log_probability
        ),
        "4 blocks, whole path, lead over the next class": partial(
            _integrated, blocks=4, **_WHOLE, score=lead
        ),
        "4 blocks, whole path": partial(_integrated, blocks=4, **_WHOLE),
        "4 blocks": partial(_integrated, blocks=4),
        "7 blocks, whole path": partial(_integrated, blocks=7, **_WHOLE),
        "7 blocks, 1 point": partial(_integrated, blocks=7, steps=1, begin=0.0),
        "7 blocks": partial(_integrated, blocks=7),
        "7 blocks, 4 points": partial(_integrated, blocks=7, steps=4),
        "9 blocks, whole path": partial(_integrated, blocks=9, **_WHOLE),
        "9 blocks": partial(_integrated, blocks=9),
        "12 blocks, whole path": partial(_integrated, blocks=12, **_WHOLE),
        "chosen, smoothed over 3 x 3 patches": _smoothed,
    }
)
"""Ways to compare. Where a name says nothing else, gradients of the log odds are integrated over two points
of the path from the blurred image, without its first third. A whole path has three points."""
