"""Memory is granted in order, never beyond the budget, and released automatically."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import pytest

from loravit_web.images.memory_pool import Lease, MemoryPool, PoolTimeout


class Thing:
    """An object that uses memory."""


class LeaseCache:
    """A cache of leases that releases one when asked."""

    def __init__(self, *kept: Lease) -> None:
        self.kept = list(kept)

    def evict(self) -> bool:
        if self.kept:
            self.kept.pop().release()
            return True
        return False


def started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_free_memory_is_granted_at_once_and_released() -> None:
    pool = MemoryPool(10)
    with pool.acquire(6), pool.acquire(4):
        assert pool.reserved == 10
    assert pool.reserved == 0


def test_a_request_without_free_memory_times_out() -> None:
    pool = MemoryPool(10)
    with pool.acquire(6), pytest.raises(PoolTimeout):
        pool.acquire(5, timeout=0.01)
    assert pool.reserved == 0
    pool.acquire(5, timeout=0).release()


def test_a_request_above_the_budget_runs_alone() -> None:
    pool = MemoryPool(10)
    with pool.acquire(50), pytest.raises(PoolTimeout):
        pool.acquire(1, timeout=0.01)
    with pool.acquire(1), pytest.raises(PoolTimeout):
        pool.acquire(50, timeout=0.01)


def test_small_requests_do_not_overtake_a_large_one() -> None:
    pool, order = MemoryPool(10), []
    first, queued = pool.acquire(6), threading.Event()

    def large() -> None:
        queued.set()
        with pool.acquire(9):
            order.append("large")

    def small() -> None:
        with pool.acquire(1):
            order.append("small")

    threads = [started(large)]
    queued.wait()
    while len(pool._queue) < 1:
        threading.Event().wait(0.001)
    threads.append(started(small))
    while len(pool._queue) < 2:
        threading.Event().wait(0.001)
    assert order == []
    first.release()
    for thread in threads:
        thread.join(10)
    assert order[0] == "large"


def test_a_lease_is_released_with_its_object() -> None:
    pool, thing = MemoryPool(10), Thing()
    lease = pool.acquire(9)
    lease.shrink(3)
    lease.release_with(thing)
    assert pool.reserved == 3
    del thing
    gc.collect()
    assert pool.reserved == 0
    lease.release()
    assert pool.reserved == 0


def test_cached_memory_is_released_when_a_request_waits() -> None:
    pool = MemoryPool(10)
    cache = LeaseCache(pool.acquire(4), pool.acquire(4))
    pool.add_cache(cache.evict)
    pool.acquire(2).release()
    assert len(cache.kept) == 2
    with pool.acquire(5, timeout=10):
        assert len(cache.kept) == 1


def test_a_deleted_cache_is_not_called() -> None:
    pool = MemoryPool(10)
    pool.add_cache(LeaseCache().evict)
    gc.collect()
    with pool.acquire(10), pytest.raises(PoolTimeout):
        pool.acquire(1, timeout=0.01)


def test_many_threads_never_exceed_the_budget() -> None:
    pool, most, lock = MemoryPool(100), 0, threading.Lock()

    def work(size: int) -> None:
        nonlocal most
        for _ in range(50):
            with pool.acquire(size), lock:
                most = max(most, pool.reserved)

    threads = [started(lambda size=size: work(size)) for size in (10, 30, 60, 99, 5, 5, 70, 40)]
    for thread in threads:
        thread.join(60)
    assert (pool.reserved, len(pool._queue)) == (0, 0)
    assert 0 < most <= 100
