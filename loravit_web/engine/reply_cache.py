"""Cache of recent replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from loravit_web.engine.batching import Batcher, Engine, Reply
from loravit_web.engine.trunk import content_sha256
from loravit_web.util.lru import LRU

REPLIES_BUDGET = 8 << 20
"""Default size of the cache in bytes."""
_OVERHEAD = 512
"""Approximate size in bytes of a cached answer without its logits."""


class _Cached(NamedTuple):
    """One task's part of a reply; see `Reply`."""

    logits: torch.Tensor
    seconds: float
    novelty: float | None


_Answers = LRU[tuple[str, str], _Cached]


class ReplyCache:
    """Cache of a batcher's replies: another task for the same image computes that task only. Thread-safe.

    A key must stand for the same adapter until `clear` is called.

    Args:
        batcher: Batcher that computes what is not cached.
        budget: Maximum size of the cache in bytes; the least recently requested reply is evicted first.
    """

    def __init__(self, batcher: Batcher, budget: int = REPLIES_BUDGET) -> None:
        self._batcher, self._budget = batcher, budget
        self._answers = self._empty()

    @property
    def idle(self) -> bool:
        """Whether no request is being computed or waiting."""
        return self._batcher.idle

    def infer(self, engine: Engine, image: torch.Tensor, keys: Sequence[str]) -> Reply:
        """Return cached or computed logits; see `Batcher.infer`.

        The seconds of a cached answer are those of its computation.
        """
        answers = self._answers  # `clear` may replace it meanwhile; old answers must not enter the new one
        content = content_sha256(image)
        found = {key: answers.get((content, key)) for key in keys}
        missing = [key for key, answer in found.items() if answer is None]
        new = self._batcher.infer(engine, image, missing) if missing else Reply({}, {}, {})
        for key in missing:
            answer = _Cached(new.logits[key], new.seconds[key], new.novelty.get(key))
            found[key] = answer
            answers.put((content, key), answer)
        known = {key: answer for key, answer in found.items() if answer is not None}
        return Reply(
            {key: answer.logits for key, answer in known.items()},
            {key: answer.seconds for key, answer in known.items()},
            {key: answer.novelty for key, answer in known.items() if answer.novelty is not None},
        )

    def clear(self) -> None:
        """Empty the cache; a key may stand for another adapter from now on."""
        self._answers = self._empty()

    def _empty(self) -> _Answers:
        return LRU(self._budget, lambda answer: answer.logits.nbytes + _OVERHEAD)
