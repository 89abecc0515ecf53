"""Many adapters on one base give the same logits as each adapter alone, and share all common work."""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.lora import LoRA
from loravit_web.backbones import Base
from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.engine import MultiLoRAViT, UnknownTask
from loravit_web.engine.lanes import Lanes
from loravit_web.engine.multilora import MixedInput
from tests.adapters.makers import random_adapter, random_images, reference_logits_of
from tests.conftest import tiny_base

Answers = list[dict[str, torch.Tensor]]
CONFIGS = {
    "all-3": ViTAdapterConfig(r=3, alpha=6, blocks=3),
    "last-2": ViTAdapterConfig(r=2, alpha=5, blocks=2, target_modules=("q", "v")),
    "last-1": ViTAdapterConfig(
        r=4, alpha=4, blocks=1, target_modules=("fc1", "fc2"), use_rslora=True, pooling="cls+mean"
    ),
    "ranks": ViTAdapterConfig(
        r=2, blocks=2, target_modules=("q", "v", "fc1"), rank_pattern={"v": 5}, alpha_pattern={"fc1": 3}
    ),
    "prefix": ViTAdapterConfig("PREFIX", blocks=2, prefix_length=3),
    "head": ViTAdapterConfig("LINEAR"),
}
KEYS = tuple(CONFIGS)
IMAGES = random_images(4)
LANES = Lanes(3)


@functools.cache
def shared_base() -> Base:
    return tiny_base()


@functools.cache
def adapters() -> dict[str, Adapter]:
    """Return one adapter per key, each with another number of classes."""
    return {
        key: random_adapter(
            shared_base(), config, seed=i, classes=tuple(f"class {c}" for c in range(2 + 3 * i))
        )
        for i, (key, config) in enumerate(CONFIGS.items())
    }


@functools.cache
def alone(key: str) -> torch.Tensor:
    """Return the logits of one adapter for `IMAGES`, computed without the engine."""
    return reference_logits_of(shared_base(), adapters()[key], IMAGES)


def engine_of(keys: Sequence[str] = KEYS, **settings: Any) -> MultiLoRAViT:
    engine = MultiLoRAViT(shared_base(), torch.float32, **settings)
    for key in keys:
        engine.add(key, adapters()[key])
    return engine


def assert_equal_to_alone(answers: Answers, assignment: Sequence[Sequence[str]], rows: Sequence[int]) -> None:
    for answer, keys, row in zip(answers, assignment, rows, strict=True):
        assert list(answer) == list(dict.fromkeys(keys))
        for key, logits in answer.items():
            assert logits.dtype is torch.float32
            torch.testing.assert_close(logits, alone(key)[row], rtol=1e-5, atol=1e-5)


@contextmanager
def rows_through(block: torch.nn.Module) -> Iterator[list[int]]:
    """Provide the number of images in each call of a trunk block; its adapted copies share the hook."""
    rows: list[int] = []

    def count(module: torch.nn.Module, args: tuple[torch.Tensor, ...], _output: torch.Tensor) -> None:
        if module is block:
            rows.append(len(args[0]))

    handle = block.register_forward_hook(count)
    try:
        yield rows
    finally:
        handle.remove()


MODES = {
    "merged": {},
    "low-rank": {"merged_budget": 0},
    "merged in lanes": {"lanes": LANES},
    "low-rank in lanes": {"merged_budget": 0, "lanes": LANES},
    "some of each in lanes": {"merged_budget": 60_000, "lanes": LANES},
}


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40, deadline=None)
@given(
    chosen=st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.sampled_from(KEYS), max_size=5)), min_size=1, max_size=5
    ),
    cached=st.booleans(),
)
def test_any_assignment_equals_one_adapter_at_a_time(
    mode: str, chosen: list[tuple[int, list[str]]], cached: bool
) -> None:
    rows, assignment = [row for row, _ in chosen], [keys for _, keys in chosen]
    used = used_before(mode) if cached else engine_of(**MODES[mode], tokens_budget=0)
    assert_equal_to_alone(used.forward(IMAGES[rows], assignment), assignment, rows)


@functools.cache
def used_before(mode: str) -> MultiLoRAViT:
    return engine_of(**MODES[mode])


def test_tasks_of_one_image_differ_from_each_other_and_from_the_base() -> None:
    bare = random_adapter(shared_base(), ViTAdapterConfig("LINEAR"), classes=("a", "b"))
    same_head = replace(adapters()["all-3"], head_weight=bare.head_weight, head_bias=bare.head_bias)
    engine = engine_of(())
    engine.add("bare", bare)
    engine.add("adapted", same_head)
    (answer,) = engine.forward(IMAGES[:1], [["bare", "adapted"]])
    assert not torch.allclose(answer["bare"], answer["adapted"], atol=0.05)


@pytest.mark.parametrize("lanes", [None, LANES], ids=["alone", "in lanes"])
def test_the_trunk_runs_once_per_image_for_any_number_of_tasks(lanes: Lanes | None) -> None:
    engine = engine_of(("last-2", "last-1", "head"), lanes=lanes)
    base = shared_base()
    with rows_through(base.blocks[0]) as first, rows_through(base.blocks[1]) as second:
        engine.forward(IMAGES, [["last-2", "last-1", "head"]] * 4)
    assert sum(first) == 4
    assert sum(second) == 4  # for the two tasks that branch off later


def test_trunk_blocks_above_the_last_branch_do_not_run() -> None:
    engine = engine_of(("last-2",))
    with rows_through(shared_base().blocks[1]) as second, rows_through(shared_base().blocks[2]) as third:
        engine.forward(IMAGES, [["last-2"]] * 4)
    assert (second, third) == ([], [])


def test_a_cached_image_does_not_run_the_trunk() -> None:
    engine = engine_of(("last-2", "last-1"))
    engine.forward(IMAGES[:2], [["last-2"], ["last-2"]])
    with rows_through(shared_base().blocks[0]) as first:
        answers = engine.forward(IMAGES[[1, 0, 2]], [["last-2"]] * 3)
    assert first == [1]  # only the new image
    assert_equal_to_alone(answers, [["last-2"]] * 3, [1, 0, 2])


def test_another_task_for_the_same_image_continues_from_the_deepest_cached_tokens() -> None:
    engine = engine_of(("last-2", "last-1"))
    engine.forward(IMAGES[:1], [["last-2"]])
    with rows_through(shared_base().blocks[0]) as first, rows_through(shared_base().blocks[1]) as second:
        engine.forward(IMAGES[:1], [["last-2", "last-1"]])
    assert (first, second) == ([], [1])


def test_an_image_with_one_changed_value_is_not_taken_from_the_cache() -> None:
    engine = engine_of(("head",))
    changed = IMAGES[:1].clone()
    changed[0, 0, 0, 0] += 1
    before = engine.forward(IMAGES[:1], [["head"]])[0]["head"]
    assert not torch.equal(engine.forward(changed, [["head"]])[0]["head"], before)


def test_changing_the_returned_logits_does_not_change_later_ones() -> None:
    engine = engine_of(("last-1",))
    with torch.inference_mode():
        engine.forward(IMAGES[:1], [["last-1"]])[0]["last-1"].zero_()
    assert_equal_to_alone(engine.forward(IMAGES[:1], [["last-1"]]), [["last-1"]], [0])


def test_a_small_budget_for_merged_weights_changes_no_logits() -> None:
    engine = engine_of(merged_budget=60_000)
    for _ in range(2):
        assert_equal_to_alone(engine.forward(IMAGES, [KEYS] * 4), [KEYS] * 4, range(4))
    assert 0 < engine._branches.used <= 60_000


def test_merged_copies_count_only_unshared_bytes() -> None:
    engine = engine_of(("last-1",))
    engine.forward(IMAGES[:1], [["last-1"]])
    assert engine._branches.used == 2 * (32 * 128) * 4  # fc1 and fc2 of one block in float32


def test_the_base_is_never_changed() -> None:
    base = shared_base()
    engine_of().forward(IMAGES, [KEYS] * 4)
    engine_of(merged_budget=0).forward(IMAGES, [KEYS] * 4)
    assert weights_sha256(base.model.state_dict()) == base.weights_sha256


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("merged_budget", [0, 512 << 20])
def test_everything_runs_on_the_device_of_the_base(
    merged_budget: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Adapter, "head", lambda _adapter, features: features)  # a real head is on the CPU
    elsewhere = torch.device("meta")
    engine = MultiLoRAViT(shared_base().cast(torch.float32, elsewhere), dtype, merged_budget=merged_budget)
    for key in KEYS:
        engine.add(key, adapters()[key])
    (answer,) = engine.forward(IMAGES[:1], [KEYS])
    merged = [p for blocks, _ in engine._branches._kept.values() for b in blocks for p in b.parameters()]
    factors = [
        t for by_layer, _ in engine._factors._items.values() for pair in by_layer.values() for t in pair
    ]
    assert bool(factors) is (merged_budget == 0)
    assert {t.device for t in (*answer.values(), *merged, *factors)} == {elsewhere}


def test_bfloat16_logits_are_close_and_heads_stay_float32() -> None:
    engine = MultiLoRAViT(shared_base(), torch.bfloat16)
    for key in KEYS:
        engine.add(key, adapters()[key])
    (answer,) = engine.forward(IMAGES[:1], [KEYS])
    for key, logits in answer.items():
        assert logits.dtype is torch.float32
        torch.testing.assert_close(logits, alone(key)[0], rtol=0.1, atol=0.3)


@pytest.mark.parametrize("lanes", [None, LANES], ids=["alone", "in lanes"])
def test_eight_threads_get_the_same_logits_as_one(lanes: Lanes | None) -> None:
    engine = engine_of(merged_budget=60_000, tokens_budget=40_000, lanes=lanes)

    def infer(seed: int) -> tuple[Answers, list[list[str]], list[int]]:
        dice = random.Random(seed)
        rows = [dice.randrange(4) for _ in range(dice.randrange(1, 4))]
        assignment = [dice.sample(KEYS, dice.randrange(1, 5)) for _ in rows]
        return engine.forward(IMAGES[rows], assignment), assignment, rows

    with ThreadPoolExecutor(8) as pool:
        for answers, assignment, rows in pool.map(infer, range(64)):
            assert_equal_to_alone(answers, assignment, rows)


@pytest.mark.parametrize("broken", ["embed", "features"])
def test_an_error_in_a_lane_reaches_the_caller_and_the_next_call_works(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(lanes=LANES)
    with monkeypatch.context() as patched:
        patched.setattr(Base, broken, lambda *_arguments: torch.zeros(1) @ torch.zeros(2))
        with pytest.raises(RuntimeError, match="size"):
            engine.forward(IMAGES, [KEYS] * 4)
    assert not +engine._residency._in_use
    assert_equal_to_alone(engine.forward(IMAGES, [KEYS] * 4), [KEYS] * 4, range(4))


def test_a_call_in_one_lane_gives_the_same_logits_and_leaves_the_other_lanes_free() -> None:
    engine, blocked = engine_of(lanes=LANES), threading.Event()
    with ThreadPoolExecutor(LANES.count - 1) as pool:
        others = [pool.submit(LANES.run, [lambda: blocked.wait(30)]) for _ in range(LANES.count - 1)]
        try:
            answers = engine.forward(IMAGES, [KEYS] * 4, in_one_lane=True)
        finally:
            blocked.set()
        assert [other.result() for other in others] == [[True]] * len(others)
    assert_equal_to_alone(answers, [KEYS] * 4, range(4))
    assert_equal_to_alone(engine_of().forward(IMAGES, [KEYS] * 4, in_one_lane=True), [KEYS] * 4, range(4))


def test_tasks_can_be_added_and_removed_during_other_calls() -> None:
    engine = engine_of()

    def churn(_: int) -> None:
        engine.add("guest", adapters()["last-1"])
        engine.remove("guest")

    def infer(row: int) -> None:
        assert_equal_to_alone(engine.forward(IMAGES[[row]], [KEYS]), [KEYS], [row])

    with ThreadPoolExecutor(8) as pool:
        turns: list[Callable[[int], None]] = [churn, infer]
        list(pool.map(lambda i: turns[i % 2](i % 4), range(80)))
    assert "guest" not in engine
    assert len(engine) == len(KEYS)


def test_replacing_an_adapter_during_its_merge_keeps_nothing_of_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = adapters()["last-2"], random_adapter(shared_base(), CONFIGS["last-2"], seed=99)
    engine = engine_of(())
    engine.add("task", old)
    merge = LoRA.merged_blocks

    def replaced_meanwhile(kind: LoRA, *args: Any) -> Any:
        blocks = merge(kind, *args)
        monkeypatch.setattr(LoRA, "merged_blocks", merge)
        engine.add("task", new)
        return blocks

    monkeypatch.setattr(LoRA, "merged_blocks", replaced_meanwhile)
    engine.forward(IMAGES[:1], [["task"]])
    (answer,) = engine.forward(IMAGES[:1], [["task"]])
    expected = reference_logits_of(shared_base(), new, IMAGES[:1])[0]
    torch.testing.assert_close(answer["task"], expected, rtol=1e-5, atol=1e-5)


def test_replacing_an_adapter_takes_effect_at_once() -> None:
    engine = engine_of(("last-2",))
    engine.forward(IMAGES[:1], [["last-2"]])
    new = random_adapter(shared_base(), CONFIGS["last-2"], seed=99)
    engine.add("last-2", new)
    (answer,) = engine.forward(IMAGES[:1], [["last-2"]])
    expected = reference_logits_of(shared_base(), new, IMAGES[:1])[0]
    torch.testing.assert_close(answer["last-2"], expected, rtol=1e-5, atol=1e-5)


def test_an_unknown_task_is_rejected_by_name_before_anything_is_computed() -> None:
    engine = engine_of(("head",))
    with (
        rows_through(shared_base().blocks[0]) as first,
        pytest.raises(UnknownTask, match="birds is not loaded"),
    ):
        engine.forward(IMAGES[:1], [["head", "birds"]])
    assert first == []
    engine.remove("head")
    with pytest.raises(UnknownTask, match="head is not loaded"):
        engine.forward(IMAGES[:1], [["head"]])


def test_images_of_another_size_are_rejected_with_both_sizes() -> None:
    with pytest.raises(MixedInput, match="head takes images of 32 px, but these have 48 px"):
        engine_of(("head",)).forward(random_images(1, side=48), [["head"]])


def test_adapters_of_two_image_sizes_share_one_base() -> None:
    large = random_adapter(shared_base(), CONFIGS["last-1"], image_size=48)
    engine = engine_of(("last-1",))
    engine.add("large", large)
    images = random_images(1, side=48)
    (answer,) = engine.forward(images, [["large"]])
    expected = reference_logits_of(shared_base(), large, images)[0]
    torch.testing.assert_close(answer["large"], expected, rtol=1e-5, atol=1e-5)
    assert_equal_to_alone(engine.forward(IMAGES[:1], [["last-1"]]), [["last-1"]], [0])


def test_an_image_without_tasks_has_an_empty_result() -> None:
    answers = engine_of().forward(IMAGES[:2], [[], ["head"]])
    assert answers[0] == {}
    assert_equal_to_alone(answers, [[], ["head"]], [0, 1])


@pytest.mark.parametrize("merged_budget", [0, 512 << 20])
def test_evicting_and_reloading_gives_identical_logits(merged_budget: int) -> None:
    loads: list[str] = []

    def load(key: str) -> Adapter:
        loads.append(key)
        return adapters()[key]

    engine = MultiLoRAViT(
        shared_base(), torch.float32, load=load, adapters_budget=1, merged_budget=merged_budget
    )
    first = [engine.forward(IMAGES, [[key]] * 4) for key in KEYS]
    assert len(engine) <= 1
    again = [engine.forward(IMAGES, [[key]] * 4) for key in KEYS]
    assert loads == [*KEYS, *KEYS]
    for one, other in zip(first, again, strict=True):
        for a, b in zip(one, other, strict=True):
            assert all(torch.equal(a[key], b[key]) for key in a)


def test_resident_adapters_use_the_memory_of_their_tensors_only() -> None:
    engine = engine_of()
    assert engine._residency.used == sum(adapters()[key].nbytes for key in KEYS)
    assert (engine._branches.used, engine._factors.used) == (0, 0)


def test_each_branch_has_its_own_compute_time_merged_or_mixed() -> None:
    seconds: dict[str, float] = {}
    engine_of(merged_budget=0).forward(IMAGES[:1], [["all-3", "last-1"]], seconds=seconds)
    assert seconds["all-3"] > 2 * seconds["last-1"] > 0  # three blocks and one, in one batch
    for mode in MODES.values():
        seconds.clear()
        engine_of(**mode).forward(IMAGES, [["last-1", "head"], ["last-1"], [], ["head"]], seconds=seconds)
        assert set(seconds) == {"last-1", "head"}
        assert all(spent > 0 for spent in seconds.values())
