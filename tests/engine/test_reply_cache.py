"""A recent reply is returned without computing it again, until keys stand for other adapters."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from loravit_web.engine.batching import Batcher, Engine, Reply
from loravit_web.engine.reply_cache import ReplyCache


class Counting(Batcher):
    """Batcher that answers with ``number`` and records the requested keys."""

    def __init__(self) -> None:
        super().__init__()
        self.requested: list[list[str]] = []
        self.number = 1.0

    def infer(self, engine: Engine, image: torch.Tensor, keys: Sequence[str]) -> Reply:
        self.requested.append(list(keys))
        return Reply({key: torch.tensor([self.number]) for key in keys}, dict.fromkeys(keys, 0.5), {})


ENGINE: Engine = None  # type: ignore[assignment] # never called


def image_of(number: float) -> torch.Tensor:
    return torch.full((1, 3, 4, 4), number)


def test_only_tasks_without_a_cached_reply_for_the_image_are_computed() -> None:
    batcher = Counting()
    replies = ReplyCache(batcher)
    replies.infer(ENGINE, image_of(1), ["a", "b"])
    reply = replies.infer(ENGINE, image_of(1), ["c", "b", "a"])
    replies.infer(ENGINE, image_of(1), ["a"])
    replies.infer(ENGINE, image_of(2), ["a"])
    assert batcher.requested == [["a", "b"], ["c"], ["a"]]
    assert (list(reply.logits), list(reply.seconds)) == (["c", "b", "a"], ["c", "b", "a"])
    assert reply.seconds["a"] == 0.5


def test_the_least_recently_requested_reply_is_evicted_first() -> None:
    batcher = Counting()
    replies = ReplyCache(batcher, budget=2 * 600)
    for number in (1, 2, 1, 3, 1, 2):
        replies.infer(ENGINE, image_of(number), ["a"])
    assert len(batcher.requested) == 4


def test_after_clearing_a_key_is_computed_again() -> None:
    batcher = Counting()
    replies = ReplyCache(batcher)
    replies.infer(ENGINE, image_of(1), ["a"])
    batcher.number = 2.0
    replies.clear()
    assert replies.infer(ENGINE, image_of(1), ["a"]).logits["a"].item() == 2.0


def test_a_reply_computed_before_clearing_is_not_cached_afterwards() -> None:
    class Overtaken(Counting):
        def infer(self, engine: Engine, image: torch.Tensor, keys: Sequence[str]) -> Reply:
            reply = super().infer(engine, image, keys)
            if self.number == 1.0:
                self.number = 2.0
                replies.clear()  # as when a backup is restored during the computation
            return reply

    replies = ReplyCache(Overtaken())
    assert replies.infer(ENGINE, image_of(1), ["a"]).logits["a"].item() == 1.0
    assert replies.infer(ENGINE, image_of(1), ["a"]).logits["a"].item() == 2.0
