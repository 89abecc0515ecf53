"""Compiled parts are used when they are there, faster and right. PyTorch computes all others.

A stand-in computes here with PyTorch; `test_openvino.py` compiles.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.readout import Tap
from loravit_web.backbones import Base
from loravit_web.engine import MultiLoRAViT
from loravit_web.engine.compiled import CompiledParts, OpenVino, parts
from loravit_web.engine.lanes import Lanes
from tests.adapters.makers import random_adapter, random_images, reference_logits_of
from tests.conftest import scaled_base, tiny_base
from tests.engine.test_multilora import CONFIGS

LANES = Lanes(2)
AT_ONCE = OpenVino("any", run_later=lambda job: job())
BASES = {"plain": tiny_base, "scaled": scaled_base}
KEYS = list(CONFIGS)


class StandIn:
    """A compiled part that PyTorch computes."""

    def __init__(
        self, blocks: Sequence[nn.Module], _shape: torch.Size, dtype: torch.dtype, *, first_only: bool
    ) -> None:
        self.blocks, self.first_only = blocks, first_only

    def __call__(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        found = []
        for block in self.blocks:
            tokens = block(tokens)
            found.append(tokens)
        return [*found[:-1], tokens[:, :1] if self.first_only else tokens]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PartRun", StandIn)


@functools.cache
def shared(name: str) -> tuple[Base, dict[str, Adapter]]:
    base = BASES[name]()
    return base, {
        key: random_adapter(base, config, seed=i) for i, (key, config) in enumerate(CONFIGS.items())
    }


def engine_of(name: str = "plain", *, openvino: OpenVino | None = AT_ONCE, **options: Any) -> MultiLoRAViT:
    base, adapters = shared(name)
    engine = MultiLoRAViT(base, torch.float32, openvino=openvino, **options)
    for key, adapter in adapters.items():
        engine.add(key, adapter)
    return engine


def assert_right(engine: MultiLoRAViT, images: torch.Tensor, name: str = "plain", **options: Any) -> None:
    base, adapters = shared(name)
    for row, answer in enumerate(engine.forward(images, [KEYS] * len(images), **options)):
        for key, logits in answer.items():
            expected = reference_logits_of(base, adapters[key], images)[row]
            torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def compiled(engine: MultiLoRAViT) -> CompiledParts:
    assert engine.compiled is not None
    return engine.compiled


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("merged_budget", [0, 512 << 20], ids=["mixed", "merged"])
@pytest.mark.parametrize("lanes", [None, LANES], ids=["one thread", "lanes"])
@pytest.mark.parametrize("count", [1, 2])
def test_every_adapter_gives_its_logits(
    name: str, merged_budget: int, lanes: Lanes | None, count: int
) -> None:
    engine = engine_of(name, merged_budget=merged_budget, lanes=lanes)
    for seed in range(3):
        assert_right(engine, random_images(count, seed=seed), name)
    branches = [part for part in compiled(engine)._ready if part.adapter is not None]
    assert len(branches) == 4, "all but the head and the prefix, whose blocks are not plain"
    trunks = {(part.start, part.stop) for part in compiled(engine)._ready if part.adapter is None}
    assert trunks == {(0, 1), (1, 2), (2, 3)}


def test_tasks_with_other_first_blocks_share_the_parts_of_the_trunk() -> None:
    part = compiled(engine_of())
    for _ in range(2):
        assert part.trunk(1, 32, 0, 2) is None
    assert part.trunk(1, 32, 0, 2) is not None
    for _ in range(2):
        assert part.trunk(1, 32, 0, 3) is None
    assert part.trunk(1, 32, 0, 3) is not None
    assert [(one.start, one.stop) for one in part._ready] == [(0, 2), (2, 3)]


def test_a_seen_image_is_not_computed_again() -> None:
    engine, image = engine_of(), random_images(1)
    for seed in range(3):
        engine.forward(random_images(1, seed=seed + 1), [["last-2"]])
    first = engine.forward(image, [["last-2"]])[0]["last-2"]
    hits, misses = engine.token_lookups
    assert torch.equal(engine.forward(image, [["last-2"]])[0]["last-2"], first)
    assert engine.token_lookups == (hits + 1, misses)


def test_a_single_answer_compiles_nothing() -> None:
    engine = engine_of()
    assert_right(engine, random_images(1))
    assert len(compiled(engine)) == 0


def test_pytorch_answers_while_a_part_is_compiled() -> None:
    jobs: list[Callable[[], None]] = []
    engine = engine_of(openvino=OpenVino("any", run_later=jobs.append))
    for seed in range(3):
        assert_right(engine, random_images(1, seed=seed))
    assert len(compiled(engine)) == 0
    ordered = len(jobs)
    for job in jobs:
        job()
    assert len(compiled(engine)) == ordered - 1, "the prefix has no graph"
    assert_right(engine, random_images(1, seed=4))
    assert len(jobs) == ordered, "a part that has no graph is not ordered again"


def test_without_a_given_thread_parts_are_compiled_in_one_of_their_own() -> None:
    done = threading.Event()
    base, adapters = shared("plain")
    found = CompiledParts(base, base, lambda _rows, _side: not done.set())
    for _ in range(2):
        assert found.branch(adapters["last-2"], 1, 32) is None
    assert done.wait(10)


def test_calls_in_one_lane_leave_the_other_cores_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(lanes=LANES)
    for seed in range(3):
        assert_right(engine, random_images(1, seed=seed))
    monkeypatch.setattr(StandIn, "__call__", lambda *_given: pytest.fail("on all cores"))
    assert_right(engine, random_images(1, seed=4), in_one_lane=True)


def test_a_wrong_result_is_never_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right = StandIn.__call__
    monkeypatch.setattr(StandIn, "__call__", lambda self, tokens: [1.01 * one for one in right(self, tokens)])
    engine = engine_of()
    for seed in range(3):
        assert_right(engine, random_images(1, seed=seed))
    assert len(compiled(engine)) == 0
    assert "PyTorch computes it" in caplog.text


def test_a_package_that_does_not_work_is_told_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_given: Any, **_options: Any) -> None:
        raise ImportError("libtbb.so.12 is missing")

    monkeypatch.setattr(parts, "PartRun", broken)
    engine = engine_of()
    for seed in range(3):
        assert_right(engine, random_images(1, seed=seed))
    assert "(libtbb.so.12 is missing). PyTorch computes it." in caplog.text


def test_parts_leave_with_their_adapter() -> None:
    engine = engine_of()
    for seed in range(3):
        engine.forward(random_images(1, seed=seed), [["last-2"]])
    assert len(compiled(engine)) == 2
    engine.remove("last-2")
    assert [part.adapter for part in compiled(engine)._ready] == [None]


def test_only_parts_that_were_idle_give_way_to_others() -> None:
    now = [0.0]
    base, adapters = shared("plain")
    block = sum(p.numel() for p in base.blocks[0].parameters()) * 8
    found = CompiledParts(
        base,
        base,
        lambda _rows, _side: True,
        budget=3 * block,
        run_later=lambda job: job(),
        clock=lambda: now[0],
    )
    for key in ("last-2", "last-1", "all-3"):
        for _ in range(2):
            found.branch(adapters[key], 1, 32)
    assert {part.adapter for part in found._ready} == {adapters["last-2"], adapters["last-1"]}
    assert found.used == 3 * block
    now[0] = 61.0
    found.branch(adapters["last-1"], 1, 32)
    found.branch(adapters["ranks"], 1, 32)
    found.branch(adapters["ranks"], 1, 32)
    assert {part.adapter for part in found._ready} == {adapters["last-1"], adapters["ranks"]}


def test_heads_that_read_adapted_blocks_are_left_to_pytorch() -> None:
    base, _adapters = shared("plain")
    adapter = random_adapter(base, ViTAdapterConfig(r=2, blocks=2, readout=(Tap(2, "cls"),)))
    part = compiled(engine_of())
    assert [part.branch(adapter, 1, 32) for _ in range(3)] == [None] * 3
