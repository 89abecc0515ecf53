"""An answer of a moment ago is given again without being computed, until keys mean something else."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from loravit_web.engine.batching import Batcher, Engine, Reply
from loravit_web.engine.recent import RecentReplies


class Counting(Batcher):
    """Answers with ``number`` and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.number = 1.0

    def ask(self, engine: Engine, image: torch.Tensor, keys: Sequence[str]) -> Reply:
        self.asked.append(list(keys))
        return Reply({key: torch.tensor([self.number]) for key in keys}, dict.fromkeys(keys, 0.5))


ENGINE: Engine = None  # type: ignore[assignment] # never reached


def picture(number: float) -> torch.Tensor:
    return torch.full((1, 3, 4, 4), number)


def test_only_the_tasks_that_were_not_asked_about_this_picture_are_computed() -> None:
    batcher = Counting()
    replies = RecentReplies(batcher)
    replies.ask(ENGINE, picture(1), ["a", "b"])
    reply = replies.ask(ENGINE, picture(1), ["c", "b", "a"])
    replies.ask(ENGINE, picture(1), ["a"])
    replies.ask(ENGINE, picture(2), ["a"])
    assert batcher.asked == [["a", "b"], ["c"], ["a"]]
    assert (list(reply.logits), list(reply.seconds)) == (["c", "b", "a"], ["c", "b", "a"])
    assert reply.seconds["a"] == 0.5


def test_what_was_asked_least_recently_is_forgotten_within_the_budget() -> None:
    batcher = Counting()
    replies = RecentReplies(batcher, budget=2 * 600)
    for number in (1, 2, 1, 3, 1, 2):
        replies.ask(ENGINE, picture(number), ["a"])
    assert len(batcher.asked) == 4


def test_after_forgetting_a_key_may_mean_another_adapter() -> None:
    batcher = Counting()
    replies = RecentReplies(batcher)
    replies.ask(ENGINE, picture(1), ["a"])
    batcher.number = 2.0
    replies.forget()
    assert replies.ask(ENGINE, picture(1), ["a"]).logits["a"].item() == 2.0


def test_an_answer_computed_before_forgetting_does_not_come_back_after_it() -> None:
    class Overtaken(Counting):
        def ask(self, engine: Engine, image: torch.Tensor, keys: Sequence[str]) -> Reply:
            reply = super().ask(engine, image, keys)
            if self.number == 1.0:
                self.number = 2.0
                replies.forget()  # a backup is restored while the answer is on its way
            return reply

    replies = RecentReplies(Overtaken())
    assert replies.ask(ENGINE, picture(1), ["a"]).logits["a"].item() == 1.0
    assert replies.ask(ENGINE, picture(1), ["a"]).logits["a"].item() == 2.0
