"""Who gets merged weights: everybody while there is room, then the clearly hotter ones."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.lora import LoRA
from loravit_web.engine.branches import Branches, merged_bytes
from tests.adapters.makers import random_adapter
from tests.conftest import tiny_base

BASE = tiny_base(depth=2)
ADAPTERS = [random_adapter(BASE, ViTAdapterConfig(r=1, blocks=1), seed=seed) for seed in range(6)]
SIZE = merged_bytes(ADAPTERS[0], BASE)


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The changes that were merged, in order."""
    changes: list[Any] = []
    merge = LoRA.merged_blocks

    def noted(kind: LoRA, change: Any, *args: Any) -> Any:
        changes.append(change)
        return merge(kind, change, *args)

    monkeypatch.setattr(LoRA, "merged_blocks", noted)
    return changes


def branches(count: int, *, shareable: bool = True) -> Branches:
    return Branches(BASE, BASE, count * SIZE, shareable=lambda _adapter: shareable)


def test_a_branch_is_merged_once_while_there_is_room(merged: list[Any]) -> None:
    kept = branches(2)
    for _ in range(3):
        for adapter in ADAPTERS[:2]:
            assert kept.own(adapter) is kept.own(adapter) is not None
    assert merged == [adapter.change for adapter in ADAPTERS[:2]]
    assert kept.used == 2 * SIZE


def test_many_adapters_used_in_turn_do_not_merge_each_other_out(merged: list[Any]) -> None:
    kept = branches(2)
    answers = [[kept.own(adapter) is not None for adapter in ADAPTERS] for _ in range(20)]
    assert answers == [[True, True, False, False, False, False]] * 20
    assert len(merged) == 2


def test_one_that_is_used_much_more_takes_the_place_of_the_coldest(merged: list[Any]) -> None:
    kept = branches(2)
    kept.own(ADAPTERS[0])
    for _ in range(5):
        kept.own(ADAPTERS[1])
    hot = [kept.own(ADAPTERS[2]) is not None for _ in range(4)]
    assert hot == [False, True, True, True]
    assert kept.own(ADAPTERS[1]) is not None
    assert kept.own(ADAPTERS[0]) is None
    assert kept.used == 2 * SIZE


def test_what_can_not_be_mixed_gets_its_own_blocks_even_without_room() -> None:
    blocks = branches(0, shareable=False).own(ADAPTERS[0])
    assert blocks is not None
    assert len(blocks) == 1


def test_a_head_alone_needs_no_blocks_and_no_room() -> None:
    assert branches(0).own(random_adapter(BASE, ViTAdapterConfig("LINEAR"))) == ()


def test_a_forgotten_adapter_gives_its_room_back() -> None:
    kept = branches(1)
    kept.own(ADAPTERS[0])
    kept.drop(ADAPTERS[0])
    kept.drop(ADAPTERS[0])
    assert kept.used == 0
    assert kept.own(ADAPTERS[1]) is not None


def test_the_bytes_said_before_merging_are_those_that_it_takes() -> None:
    adapter = random_adapter(BASE, ViTAdapterConfig(r=2, blocks=2))
    shared = {id(p) for p in BASE.model.parameters()}
    own = [p for b in adapter.merged_blocks(BASE, BASE) for p in b.parameters() if id(p) not in shared]
    assert merged_bytes(adapter, BASE) == sum(p.nbytes for p in own)


def test_threads_never_use_more_than_the_budget() -> None:
    kept, ready = branches(2), threading.Barrier(6)

    def ask(adapter: Adapter) -> None:
        ready.wait()
        for _ in range(50):
            kept.own(adapter)
            assert kept.used <= 2 * SIZE

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(ask, ADAPTERS))
    assert kept.used == 2 * SIZE
