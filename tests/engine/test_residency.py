"""Adapters in memory: loading, pinning and eviction."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.files.format import AdapterFormatError
from loravit_web.engine import UnknownTask
from loravit_web.engine.residency import Residency
from tests.adapters.makers import random_adapter
from tests.conftest import tiny_base

BASE = tiny_base(depth=1)
ADAPTERS = {
    key: random_adapter(BASE, ViTAdapterConfig(r=1, blocks=1), seed=i) for i, key in enumerate("abcd")
}
SIZE = ADAPTERS["a"].nbytes


class Store:
    """Loads adapters and records their keys."""

    def __init__(self, *, delay: float = 0.0) -> None:
        self.loads: list[str] = []
        self.delay = delay

    def __call__(self, key: str) -> Adapter:
        self.loads.append(key)
        time.sleep(self.delay)
        if key not in ADAPTERS:
            raise AdapterFormatError(f"{key} is damaged.")
        return ADAPTERS[key]


def use(residency: Residency, *keys: str) -> None:
    with residency.hold(keys) as held:
        assert held == {key: ADAPTERS[key] for key in keys}


def test_the_least_recently_used_adapter_is_evicted_first_and_reported() -> None:
    evicted: list[Adapter] = []
    residency = Residency(2 * SIZE, Store(), evicted.append)
    for key in ("a", "b", "a", "c"):
        use(residency, key)
    assert sorted(residency.keys()) == ["a", "c"]
    assert evicted == [ADAPTERS["b"]]
    assert residency.used == 2 * SIZE


def test_a_pinned_adapter_stays_until_it_is_unpinned() -> None:
    residency = Residency(SIZE, Store())
    residency.pin("a")
    use(residency, "b")
    use(residency, "c")
    assert "a" in residency
    residency.unpin("a")
    use(residency, "b")
    assert residency.keys() == ["b"]


def test_an_adapter_in_use_is_not_evicted_and_the_budget_is_met_afterwards() -> None:
    residency = Residency(SIZE, Store())
    with residency.hold(["a", "b", "c"]):
        assert sorted(residency.keys()) == ["a", "b", "c"]
    assert len(residency) == 1


def test_an_adapter_held_twice_is_in_use_until_both_calls_end() -> None:
    residency = Residency(0, Store())
    with residency.hold(["a"]):
        with residency.hold(["a"]):
            pass
        assert "a" in residency
    assert "a" not in residency


def test_concurrent_requests_share_one_load() -> None:
    store = Store(delay=0.05)
    residency, ready = Residency(4 * SIZE, store), threading.Barrier(8)

    def load_together(_number: int) -> None:
        ready.wait()
        use(residency, "a")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(load_together, range(8)))
    assert store.loads == ["a"]


def test_a_failed_load_is_raised_in_every_waiting_call_and_retried_by_the_next() -> None:
    store = Store(delay=0.05)
    residency, ready = Residency(4 * SIZE, store), threading.Barrier(4)

    def load_together(_number: int) -> str:
        ready.wait()
        with pytest.raises(AdapterFormatError, match="x is damaged") as caught, residency.hold(["a", "x"]):
            pass
        return str(caught.value)

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(load_together, range(4))) == {"x is damaged."}
    loads = store.loads.count("x")
    with pytest.raises(AdapterFormatError), residency.hold(["x"]):
        pass
    assert store.loads.count("x") == loads + 1
    residency.budget = 0
    use(residency, "a")
    assert len(residency) == 0  # the failed calls do not count as uses


def test_an_unknown_key_is_rejected_if_adapters_cannot_be_loaded() -> None:
    residency = Residency(SIZE, None)
    with pytest.raises(UnknownTask, match="birds is not loaded"), residency.hold(["birds"]):
        pass
    with pytest.raises(UnknownTask, match="birds is not loaded"):
        residency.peek("birds")


def test_an_adapter_that_replaces_another_is_counted_once() -> None:
    evicted: list[Adapter] = []
    residency = Residency(4 * SIZE, None, evicted.append)
    residency.add("task", ADAPTERS["a"])
    residency.add("task", ADAPTERS["b"])
    assert residency.peek("task") is ADAPTERS["b"]
    assert (residency.used, evicted) == (SIZE, [ADAPTERS["a"]])
    residency.remove("task")
    residency.remove("task")
    assert (residency.used, len(residency)) == (0, 0)


def test_an_adapter_that_is_loading_during_a_clear_is_not_kept() -> None:
    began, go_on = threading.Event(), threading.Event()

    def load(key: str) -> Adapter:
        began.set()
        assert go_on.wait(10)
        return ADAPTERS[key]

    residency = Residency(10 * SIZE, load)
    residency.add("b", ADAPTERS["b"], pinned=True)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(use, residency, "a")
        assert began.wait(10)
        residency.clear()
        go_on.set()
        late.result()
    assert residency.keys() == []
    assert residency.used == 0
    use(residency, "a")
    assert residency.keys() == ["a"]
