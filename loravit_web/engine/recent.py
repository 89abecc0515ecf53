"""Answers of a moment ago, which are not computed again."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from loravit_web.engine.batching import Batcher, Engine, Reply
from loravit_web.engine.trunk import content_of
from loravit_web.util.lru import LRU

REPLIES_BUDGET = 8 << 20
_OVERHEAD = 512
"""Bytes of an answer beside its logits, about."""

_Answers = LRU[tuple[str, str], tuple[torch.Tensor, float]]


class RecentReplies:
    """A batcher that remembers: who picks another task for a picture waits for that task alone.

    A key must always mean the same adapter until `forget` is called. Safe to use from any number of threads.
    """

    def __init__(self, batcher: Batcher, budget: int = REPLIES_BUDGET) -> None:
        """
        Args:
            budget: bytes for what is remembered; what was asked least recently is forgotten.
        """
        self._batcher, self._budget = batcher, budget
        self._answers = self._empty()

    @property
    def idle(self) -> bool:
        """See `Batcher.idle`."""
        return self._batcher.idle

    def ask(self, engine: Engine, image: torch.Tensor, keys: Sequence[str]) -> Reply:
        """See `Batcher.ask`; the seconds of a remembered answer are those of its computation."""
        answers = self._answers  # the same to its end: what is forgotten meanwhile must not come back
        content = content_of(image)
        found = {key: answers.get((content, key)) for key in keys}
        missing = [key for key, answer in found.items() if answer is None]
        new = self._batcher.ask(engine, image, missing) if missing else Reply({}, {})
        for key in missing:
            found[key] = new.logits[key], new.seconds[key]
            answers.put((content, key), (new.logits[key], new.seconds[key]))
        known = {key: answer for key, answer in found.items() if answer is not None}
        return Reply(
            {key: logits for key, (logits, _) in known.items()},
            {key: seconds for key, (_, seconds) in known.items()},
        )

    def forget(self) -> None:
        """Remember nothing; a key may mean another adapter from now on."""
        self._answers = self._empty()

    def _empty(self) -> _Answers:
        return LRU(self._budget, lambda answer: answer[0].nbytes + _OVERHEAD)
