"""Every adapter is merged while the budget lasts; after that, only clearly hotter ones are."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.lora import LoRA
from loravit_web.backbones.forms import InferenceForm
from loravit_web.engine.branches import Branches, merged_bytes
from tests.adapters.makers import random_adapter
from tests.conftest import tiny_base

BASE = tiny_base(depth=2)
ADAPTERS = [random_adapter(BASE, ViTAdapterConfig(r=1, blocks=1), seed=seed) for seed in range(6)]
SIZE = merged_bytes(ADAPTERS[0], BASE)


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of changes that were merged, in order."""
    changes: list[Any] = []
    merge = LoRA.merged_blocks

    def recorded(kind: LoRA, change: Any, *args: Any) -> Any:
        changes.append(change)
        return merge(kind, change, *args)

    monkeypatch.setattr(LoRA, "merged_blocks", recorded)
    return changes


def branches(count: int, *, shareable: bool = True) -> Branches:
    form = InferenceForm(BASE, "loaded")
    return Branches(BASE, BASE, count * SIZE, shareable=lambda _adapter: shareable, form=form)


def test_an_adapter_is_merged_once_while_the_budget_lasts(merged: list[Any]) -> None:
    kept = branches(2)
    for _ in range(3):
        for adapter in ADAPTERS[:2]:
            assert kept.blocks(adapter) is kept.blocks(adapter) is not None
    assert merged == [adapter.change for adapter in ADAPTERS[:2]]
    assert kept.used == 2 * SIZE


def test_many_adapters_used_in_turn_do_not_evict_one_another(merged: list[Any]) -> None:
    kept = branches(2)
    answers = [[kept.blocks(adapter) is not None for adapter in ADAPTERS] for _ in range(20)]
    assert answers == [[True, True, False, False, False, False]] * 20
    assert len(merged) == 2


def test_a_much_hotter_adapter_replaces_the_coldest(merged: list[Any]) -> None:
    kept = branches(2)
    kept.blocks(ADAPTERS[0])
    for _ in range(5):
        kept.blocks(ADAPTERS[1])
    hot = [kept.blocks(ADAPTERS[2]) is not None for _ in range(4)]
    assert hot == [False, True, True, True]
    assert kept.blocks(ADAPTERS[1]) is not None
    assert kept.blocks(ADAPTERS[0]) is None
    assert kept.used == 2 * SIZE


def test_an_adapter_that_cannot_be_mixed_gets_blocks_even_without_budget() -> None:
    blocks = branches(0, shareable=False).blocks(ADAPTERS[0])
    assert blocks is not None
    assert len(blocks) == 1


def test_a_linear_probe_needs_no_blocks_and_no_budget() -> None:
    assert branches(0).blocks(random_adapter(BASE, ViTAdapterConfig("LINEAR"))) == ()


def test_dropping_an_adapter_frees_its_budget() -> None:
    kept = branches(1)
    kept.blocks(ADAPTERS[0])
    kept.drop(ADAPTERS[0])
    kept.drop(ADAPTERS[0])
    assert kept.used == 0
    assert kept.blocks(ADAPTERS[1]) is not None


def test_the_size_predicted_before_merging_is_the_actual_size() -> None:
    adapter = random_adapter(BASE, ViTAdapterConfig(r=2, blocks=2))
    shared = {id(p) for p in BASE.model.parameters()}
    own = [p for b in adapter.merged_blocks(BASE, BASE) for p in b.parameters() if id(p) not in shared]
    assert merged_bytes(adapter, BASE) == sum(p.nbytes for p in own)


def test_concurrent_threads_never_exceed_the_budget() -> None:
    kept, ready = branches(2), threading.Barrier(6)

    def use(adapter: Adapter) -> None:
        ready.wait()
        for _ in range(50):
            kept.blocks(adapter)
            assert kept.used <= 2 * SIZE

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(use, ADAPTERS))
    assert kept.used == 2 * SIZE
