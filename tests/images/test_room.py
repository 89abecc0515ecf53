"""Memory is lent in order, never more than there is, and comes back by itself."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import pytest

from loravit_web.images.room import Lease, Room, RoomTimeout


class Thing:
    """Something that takes memory."""


class Keeper:
    """Keeps things until it is asked for them."""

    def __init__(self, *kept: Lease) -> None:
        self.kept = list(kept)

    def let_go(self) -> bool:
        if self.kept:
            self.kept.pop().release()
            return True
        return False


def started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_what_fits_is_lent_at_once_and_comes_back() -> None:
    room = Room(10)
    with room.take(6), room.take(4):
        assert room.lent == 10
    assert room.lent == 0


def test_what_does_not_fit_waits_and_gives_up_in_time() -> None:
    room = Room(10)
    with room.take(6), pytest.raises(RoomTimeout):
        room.take(5, timeout=0.01)
    assert room.lent == 0
    room.take(5, timeout=0).release()


def test_more_than_there_is_passes_alone() -> None:
    room = Room(10)
    with room.take(50), pytest.raises(RoomTimeout):
        room.take(1, timeout=0.01)
    with room.take(1), pytest.raises(RoomTimeout):
        room.take(50, timeout=0.01)


def test_a_large_request_is_not_overtaken_by_small_ones() -> None:
    room, order = Room(10), []
    first, queued = room.take(6), threading.Event()

    def large() -> None:
        queued.set()
        with room.take(9):
            order.append("large")

    def small() -> None:
        with room.take(1):
            order.append("small")

    threads = [started(large)]
    queued.wait()
    while len(room._queue) < 1:
        threading.Event().wait(0.001)
    threads.append(started(small))
    while len(room._queue) < 2:
        threading.Event().wait(0.001)
    assert order == []
    first.release()
    for thread in threads:
        thread.join(10)
    assert order[0] == "large"


def test_a_lease_lasts_as_long_as_a_thing_and_no_longer() -> None:
    room, thing = Room(10), Thing()
    lease = room.take(9)
    lease.shrink(3)
    lease.last_as_long_as(thing)
    assert room.lent == 3
    del thing
    gc.collect()
    assert room.lent == 0
    lease.release()
    assert room.lent == 0


def test_what_is_kept_is_let_go_when_others_need_it() -> None:
    room = Room(10)
    keeper = Keeper(room.take(4), room.take(4))
    room.ask_back_from(keeper.let_go)
    room.take(2).release()
    assert len(keeper.kept) == 2
    with room.take(5, timeout=10):
        assert len(keeper.kept) == 1


def test_a_keeper_that_is_gone_is_not_asked() -> None:
    room = Room(10)
    room.ask_back_from(Keeper().let_go)
    gc.collect()
    with room.take(10), pytest.raises(RoomTimeout):
        room.take(1, timeout=0.01)


def test_many_threads_never_hold_more_than_there_is() -> None:
    room, most, lock = Room(100), 0, threading.Lock()

    def work(size: int) -> None:
        nonlocal most
        for _ in range(50):
            with room.take(size), lock:
                most = max(most, room.lent)

    threads = [started(lambda size=size: work(size)) for size in (10, 30, 60, 99, 5, 5, 70, 40)]
    for thread in threads:
        thread.join(60)
    assert (room.lent, len(room._queue)) == (0, 0)
    assert 0 < most <= 100
