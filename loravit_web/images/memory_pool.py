"""A memory budget shared by threads, so that many large images at once need no more memory than a few."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from types import TracebackType

Evict = Callable[[], bool]
"""Evicts something from a cache; returns False if the cache is empty."""


_PAUSE = 0.05
"""Seconds after which caches are asked again, because they may have new entries."""


class PoolTimeout(Exception):
    """No memory became free in time."""


class Lease:
    """Bytes that are reserved until they are released.

    Args:
        pool: Pool of the bytes.
        size: Number of bytes.
    """

    def __init__(self, pool: MemoryPool, size: int) -> None:
        self._pool, self._size = pool, size

    def shrink(self, size: int) -> None:
        """Release all but ``size`` bytes."""
        released, self._size = max(0, self._size - size), min(size, self._size)
        self._pool.release(released)

    def release(self) -> None:
        """Release all bytes."""
        self.shrink(0)

    def release_with(self, thing: object) -> None:
        """Release all bytes when ``thing`` is garbage collected."""
        weakref.finalize(thing, self.release).atexit = False

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class MemoryPool:
    """A number of bytes for all threads, granted in the order of the requests.

    A request for more than the budget waits until nothing is reserved, and then runs alone. A thread must not
    request a lease while it holds another one, because it could wait for itself.

    Args:
        budget: Number of bytes that can be reserved at the same time.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._reserved = 0
        self._queue: deque[object] = deque()
        self._caches: list[weakref.WeakMethod[Evict]] = []
        # Reentrant, because the garbage collector may release a lease on a thread that holds this lock.
        self._changed = threading.Condition(threading.RLock())

    @property
    def reserved(self) -> int:
        """Number of reserved bytes."""
        return self._reserved

    def add_cache(self, evict: Evict) -> None:
        """Call a bound method whenever a request waits, as long as its object exists.

        Args:
            evict: Method that evicts something and returns whether it did.
        """
        with self._changed:
            self._caches = [cache for cache in self._caches if cache() is not None]
            self._caches.append(weakref.WeakMethod(evict))

    def acquire(self, size: int, *, timeout: float | None = None) -> Lease:
        """Wait for bytes and reserve them.

        Args:
            size: Number of bytes.
            timeout: Maximum time to wait in seconds, or None to wait without limit.

        Raises:
            PoolTimeout: If the bytes did not become free in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        ticket, pause = object(), 0.0
        with self._changed:
            self._queue.append(ticket)
        try:
            while not self._acquired(ticket, size, deadline, pause):
                # Without the lock, because caches have locks of their own and release leases under them.
                pause = 0.0 if self._evict_something() else _PAUSE
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()
        return Lease(self, size)

    def release(self, size: int) -> None:
        """Release bytes of a lease; only called by `Lease`."""
        with self._changed:
            self._reserved -= size
            self._changed.notify_all()

    def _acquired(self, ticket: object, size: int, deadline: float | None, pause: float) -> bool:
        """Reserve bytes if it is this request's turn and they are free, or become free within the pause."""
        with self._changed:
            is_next = self._changed.wait_for(lambda: self._queue[0] is ticket, _left(deadline))
            if is_next and self._changed.wait_for(lambda: self._fits(size), pause):
                self._reserved += size
                return True
        if deadline is not None and time.monotonic() >= deadline:
            raise PoolTimeout
        return False

    def _fits(self, size: int) -> bool:
        return not self._reserved or self._reserved + size <= self.budget

    def _evict_something(self) -> bool:
        evictions = [evict() for evict in self._caches]
        return any(evict() for evict in evictions if evict is not None)


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
