"""Memory that is lent by the byte, so that many large images at once cost no more than a few."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from types import TracebackType

GiveBack = Callable[[], bool]
"""Lets go of something that is kept; False if there is nothing more."""


_PAUSE = 0.05
"""Seconds between asking keepers again, as they may have come to keep something meanwhile."""


class RoomTimeout(Exception):
    """No memory became free in time."""


class Lease:
    """Bytes that are taken until they are given back, once."""

    def __init__(self, room: Room, size: int) -> None:
        self._room, self._size = room, size

    def shrink(self, size: int) -> None:
        """Give back what is more than ``size``."""
        given_back, self._size = max(0, self._size - size), min(size, self._size)
        self._room.give_back(given_back)

    def release(self) -> None:
        """Give everything back."""
        self.shrink(0)

    def last_as_long_as(self, thing: object) -> None:
        """Give everything back when nobody holds ``thing`` any more."""
        weakref.finalize(thing, self.release).atexit = False

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Room:
    """A number of bytes for all threads, lent in the order in which they were asked for.

    A request for more bytes than there are waits until none are lent and then passes alone. A thread must
    not ask for a lease while it holds another one: it may wait for itself.
    """

    def __init__(self, budget: int) -> None:
        """
        Args:
            budget: bytes that may be lent at once.
        """
        self.budget = budget
        self._lent = 0
        self._queue: deque[object] = deque()
        self._keepers: list[weakref.WeakMethod[GiveBack]] = []
        # reentrant: the garbage collector may end a lease on a thread that is in here
        self._changed = threading.Condition(threading.RLock())

    @property
    def lent(self) -> int:
        """Bytes that are lent at this moment."""
        return self._lent

    def ask_back_from(self, keeper: GiveBack) -> None:
        """Call a bound method whenever a request waits, for as long as its object exists."""
        with self._changed:
            self._keepers = [one for one in self._keepers if one() is not None]
            self._keepers.append(weakref.WeakMethod(keeper))

    def take(self, size: int, *, timeout: float | None = None) -> Lease:
        """Wait for bytes and take them.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            RoomTimeout: if they did not become free in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        ticket, pause = object(), 0.0
        with self._changed:
            self._queue.append(ticket)
        try:
            while not self._taken(ticket, size, deadline, pause):
                # without the lock: keepers have locks of their own, under which leases end
                pause = 0.0 if self._something_is_given_back() else _PAUSE
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()
        return Lease(self, size)

    def give_back(self, size: int) -> None:
        """Take back bytes of a lease; for `Lease` alone."""
        with self._changed:
            self._lent -= size
            self._changed.notify_all()

    def _taken(self, ticket: object, size: int, deadline: float | None, pause: float) -> bool:
        """Take the bytes if it is this request's turn and they are free, or become so within the pause."""
        with self._changed:
            first = self._changed.wait_for(lambda: self._queue[0] is ticket, _left(deadline))
            if first and self._changed.wait_for(lambda: self._fits(size), pause):
                self._lent += size
                return True
        if deadline is not None and time.monotonic() >= deadline:
            raise RoomTimeout
        return False

    def _fits(self, size: int) -> bool:
        return not self._lent or self._lent + size <= self.budget

    def _something_is_given_back(self) -> bool:
        keepers = [keeper() for keeper in self._keepers]
        return any(keeper() for keeper in keepers if keeper is not None)


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
