"""Rate limits per visitor: a sliding window in memory."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic

from loravit_web.errors import LoraVitError

MAX_VISITORS = 10_000
"""Maximum number of visitors in memory; the least recently active one is forgotten first."""


class TooManyRequests(LoraVitError):
    """A visitor who exceeded the rate limit.

    Attributes:
        wait: Seconds until the next request is accepted.
    """

    def __init__(self, sentence: str, wait: int) -> None:
        super().__init__(sentence)
        self.wait = wait


class RateLimit:
    """Maximum number of requests of a visitor in a sliding window. Thread-safe.

    Args:
        max_requests: Maximum number of requests in the window.
        seconds: Length of the window in seconds.
        clock: Returns the time in seconds.
        visitors: Maximum number of visitors in memory.
    """

    def __init__(
        self,
        max_requests: int,
        *,
        seconds: float = 60.0,
        clock: Callable[[], float] = monotonic,
        visitors: int = MAX_VISITORS,
    ) -> None:
        self._max_requests, self._seconds = max_requests, seconds
        self._clock, self._visitors = clock, visitors
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, visitor: str) -> None:
        """Count one request, or reject it without counting.

        Args:
            visitor: Key of the visitor.

        Raises:
            TooManyRequests: If the limit is reached.
        """
        now = self._clock()
        with self._lock:
            times = self._recent(visitor, now)
            if len(times) >= self._max_requests:
                wait = max(1, math.ceil(self._seconds - (now - times[0])))
                raise TooManyRequests(
                    f"You sent {self._max_requests} requests within {self._seconds:g} seconds, which is the "
                    f"limit. Wait {wait} second{'s' if wait > 1 else ''} and try again.",
                    wait,
                )
            times.append(now)

    def record(self, visitor: str) -> None:
        """Count one request regardless of the limit."""
        now = self._clock()
        with self._lock:
            times = self._recent(visitor, now)
            times.append(now)
            if len(times) > self._max_requests:
                times.popleft()

    def is_reached(self, visitor: str) -> bool:
        """Return whether the next request of a visitor would be rejected."""
        with self._lock:
            return len(self._recent(visitor, self._clock())) >= self._max_requests

    def _recent(self, visitor: str, now: float) -> deque[float]:
        """Return the times of a visitor's requests in the current window. The caller holds the lock."""
        times = self._times.setdefault(visitor, deque())
        self._times.move_to_end(visitor)
        while times and now - times[0] >= self._seconds:
            times.popleft()
        if len(self._times) > self._visitors:
            self._times.popitem(last=False)
        return times
