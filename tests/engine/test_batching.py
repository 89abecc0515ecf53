"""Requests that wait together share a batch, and each gets its own logits or its own error."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from loravit_web.backbones import Base
from loravit_web.engine import MultiLoRAViT
from loravit_web.engine.batching import Batcher, Reply
from loravit_web.engine.lanes import Lanes
from loravit_web.errors import LoraVitError
from tests.adapters.makers import random_adapter, random_images


class Echo:
    """Engine that answers each key with the image's first value; a batch can be held while it computes.

    Attributes:
        batches: Number of images in each batch, in the order of their start.
        lone: Whether each batch ran in a single lane.
        held: First value of the image whose batch waits for `go_on`; None to hold every batch.
    """

    def __init__(self, lane_count: int = 1) -> None:
        self.lane_count = lane_count
        self.batches: list[int] = []
        self.lone: list[bool] = []
        self.held: float | None = None
        self.computing, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def forward(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        *,
        seconds: MutableMapping[str, float] | None = None,
        novelty: Sequence[MutableMapping[str, float]] | None = None,
        in_one_lane: bool = False,
    ) -> list[dict[str, torch.Tensor]]:
        self.batches.append(len(images))
        self.lone.append(in_one_lane)
        go_on, waits = self.go_on, self.held is None or self.held in images[:, 0, 0, 0].tolist()
        self.computing.set()
        if waits:
            assert go_on.wait(10)
        if any("bad" in keys for keys in assignment):
            raise LoraVitError("bad cannot be computed.")
        assert seconds is not None
        seconds.update(dict.fromkeys([key for keys in assignment for key in keys], 1.0))
        return [
            {key: image[0, 0, :1].clone() for key in keys}
            for image, keys in zip(images, assignment, strict=True)
        ]


def image_of(number: float, side: int = 4) -> torch.Tensor:
    return torch.full((1, 3, side, side), number)


def infer_while_another_is_computed(
    batcher: Batcher, engine: Echo, requests: Sequence[tuple[torch.Tensor, Sequence[str]]]
) -> list[Reply | BaseException]:
    """Return the outcome of each request; all are submitted while the first batch is held."""
    engine.go_on.clear()
    with ThreadPoolExecutor(len(requests) + 1) as pool:
        first = pool.submit(batcher.infer, engine, image_of(0), ["a"])
        assert engine.computing.wait(10)
        rest = [pool.submit(batcher.infer, engine, image, keys) for image, keys in requests]
        while len(batcher._queues[engine, 4].waiting) < len(rest):
            threading.Event().wait(0.001)
        engine.go_on.set()
        first.result()
        return [future.exception() or future.result() for future in rest]


def test_a_single_request_is_computed_at_once_in_the_calling_thread() -> None:
    engine = Echo()
    reply = Batcher().infer(engine, image_of(3), ["a", "b"])
    assert {key: float(value) for key, value in reply.logits.items()} == {"a": 3.0, "b": 3.0}
    assert engine.batches == [1]


def test_the_batcher_is_idle_unless_a_request_is_computed() -> None:
    engine, batcher = Echo(), Batcher()
    assert batcher.idle
    engine.go_on.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(batcher.infer, engine, image_of(1), ["a"])
        assert engine.computing.wait(10)
        assert not batcher.idle
        engine.go_on.set()
        running.result()
    assert batcher.idle


def test_requests_that_wait_together_share_a_batch_and_each_gets_its_own_logits() -> None:
    engine = Echo()
    replies = infer_while_another_is_computed(
        Batcher(), engine, [(image_of(n), ["a", f"task-{n}"]) for n in range(5)]
    )
    assert engine.batches == [1, 5]
    for number, reply in enumerate(replies):
        assert isinstance(reply, Reply)
        assert {key: float(value) for key, value in reply.logits.items()} == {
            "a": number,
            f"task-{number}": number,
        }
        assert reply.seconds == {"a": 0.2, f"task-{number}": 1.0}


def test_a_batch_never_exceeds_the_maximum_number_of_images() -> None:
    engine = Echo()
    replies = infer_while_another_is_computed(
        Batcher(max_images=2), engine, [(image_of(n), ["a"]) for n in range(5)]
    )
    assert engine.batches == [1, 2, 2, 1]
    assert [float(reply.logits["a"]) for reply in replies if isinstance(reply, Reply)] == [0, 1, 2, 3, 4]


def test_lanes_share_the_waiting_requests_and_together_keep_to_the_maximum() -> None:
    engine = Echo(lane_count=2)
    replies = infer_while_another_is_computed(
        Batcher(max_images=6), engine, [(image_of(n), ["a"]) for n in range(5)]
    )
    assert sorted(engine.batches) == [1, 2, 3]
    assert engine.lone == [False, True, True]
    assert [float(reply.logits["a"]) for reply in replies if isinstance(reply, Reply)] == [0, 1, 2, 3, 4]

    engine = Echo(lane_count=2)
    infer_while_another_is_computed(Batcher(max_images=6), engine, [(image_of(n), ["a"]) for n in range(9)])
    assert max(engine.batches) == 3
    assert sum(engine.batches) == 10


def test_a_free_lane_takes_the_next_batch_while_another_lane_computes() -> None:
    engine, batcher = Echo(lane_count=2), Batcher()
    engine.go_on.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batcher.infer, engine, image_of(0), ["a"])
        assert engine.computing.wait(10)
        waiting = []
        for number in (1, 2):
            waiting.append(pool.submit(batcher.infer, engine, image_of(number), ["a"]))
            while len(batcher._queues[engine, 4].waiting) < number:
                threading.Event().wait(0.001)
        first_end, engine.go_on = engine.go_on, threading.Event()
        engine.held = 1.0  # the batch of the other image is not held
        first_end.set()
        first.result()
        slow, fast = waiting
        assert float(fast.result().logits["a"]) == 2
        assert float(batcher.infer(engine, image_of(3), ["a"]).logits["a"]) == 3
        assert not slow.done()
        engine.go_on.set()
        assert float(slow.result().logits["a"]) == 1
    assert engine.lone == [False, True, True, True]
    assert batcher.idle


def test_a_single_request_uses_all_lanes() -> None:
    engine, batcher = Echo(lane_count=3), Batcher()
    for number in range(2):
        batcher.infer(engine, image_of(number), ["a"])
    assert engine.lone == [False, False]


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_failing_request_does_not_fail_its_batch(lanes: int) -> None:
    requests = [(image_of(1), ["a"]), (image_of(2), ["bad"]), (image_of(3), ["a"])]
    replies = infer_while_another_is_computed(Batcher(), Echo(lanes), requests)
    assert [type(reply) for reply in replies] == [Reply, LoraVitError, Reply]


def test_images_of_different_sizes_do_not_wait_for_each_other() -> None:
    engine, batcher = Echo(), Batcher()
    engine.go_on.clear()
    with ThreadPoolExecutor(2) as pool:
        small = pool.submit(batcher.infer, engine, image_of(1, side=4), ["a"])
        large = pool.submit(batcher.infer, engine, image_of(2, side=8), ["a"])
        while len(engine.batches) < 2:
            threading.Event().wait(0.001)
        engine.go_on.set()
        assert [float(future.result().logits["a"]) for future in (small, large)] == [1, 2]


def test_an_unexpected_error_reaches_the_caller_and_leaves_the_batcher_usable() -> None:
    class Broken(Echo):
        def forward(self, *arguments: object, **named: object) -> list[dict[str, torch.Tensor]]:  # type: ignore[override]
            self.computing.set()
            assert self.go_on.wait(10)
            self.batches.append(1)
            raise KeyError("lost")

    engine, batcher = Broken(), Batcher()
    with pytest.raises(KeyError, match="lost"):
        batcher.infer(engine, image_of(1), ["a"])
    assert batcher.idle
    with pytest.raises(KeyError, match="lost"):
        batcher.infer(engine, image_of(1), ["a"])


@pytest.mark.parametrize("lanes", [None, Lanes(2)], ids=["alone", "in lanes"])
def test_many_threads_get_the_same_logits_as_a_single_one(base: Base, lanes: Lanes | None) -> None:
    engine = MultiLoRAViT(base, torch.float32, lanes=lanes)
    keys = [f"task-{index}" for index in range(4)]
    for seed, key in enumerate(keys):
        engine.add(key, random_adapter(base, seed=seed))
    batcher = Batcher()
    images = [random_images(1, seed=seed) for seed in range(24)]
    alone = [engine.forward(image, [[keys[n % 4]]])[0][keys[n % 4]] for n, image in enumerate(images)]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: batcher.infer(engine, images[n], [keys[n % 4]]), range(24)))
    for number, (reply, expected) in enumerate(zip(replies, alone, strict=True)):
        assert torch.allclose(reply.logits[keys[number % 4]], expected, atol=1e-4)
