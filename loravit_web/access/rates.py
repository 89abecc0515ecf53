"""How often each visitor may ask: a sliding window in memory."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic

from loravit_web.errors import LoraVitError

MOST_VISITORS = 10_000
"""Visitors remembered at once; whoever was silent the longest is forgotten first."""


class TooManyRequests(LoraVitError):
    """A visitor asks faster than anybody may.

    Attributes:
        wait: seconds until the next request is taken.
    """

    def __init__(self, sentence: str, wait: int) -> None:
        super().__init__(sentence)
        self.wait = wait


class RateLimit:
    """At most so many requests of one visitor in any window of time. Safe to use from many threads."""

    def __init__(
        self,
        most: int,
        *,
        seconds: float = 60.0,
        clock: Callable[[], float] = monotonic,
        visitors: int = MOST_VISITORS,
    ) -> None:
        """
        Args:
            most: requests in a window.
            seconds: its length.
            visitors: remembered at once.
        """
        self._most, self._seconds, self._clock, self._visitors = most, seconds, clock, visitors
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, visitor: str) -> None:
        """Count one request; a refused one does not count.

        Args:
            visitor: any text that tells visitors apart.

        Raises:
            TooManyRequests: with when to come back.
        """
        now = self._clock()
        with self._lock:
            asked = self._recent(visitor, now)
            if len(asked) >= self._most:
                wait = max(1, math.ceil(self._seconds - (now - asked[0])))
                raise TooManyRequests(
                    f"You sent {self._most} requests within {self._seconds:g} seconds, which is the limit. "
                    f"Wait {wait} second{'s' if wait > 1 else ''} and try again.",
                    wait,
                )
            asked.append(now)

    def note(self, visitor: str) -> None:
        """Count one request whatever the limit is."""
        now = self._clock()
        with self._lock:
            asked = self._recent(visitor, now)
            asked.append(now)
            if len(asked) > self._most:
                asked.popleft()

    def is_reached(self, visitor: str) -> bool:
        """Return whether the next request of a visitor would be refused."""
        with self._lock:
            return len(self._recent(visitor, self._clock())) >= self._most

    def _recent(self, visitor: str, now: float) -> deque[float]:
        """Return when a visitor asked in the present window. The caller holds the lock."""
        asked = self._asked.setdefault(visitor, deque())
        self._asked.move_to_end(visitor)
        while asked and now - asked[0] >= self._seconds:
            asked.popleft()
        if len(self._asked) > self._visitors:
            self._asked.popitem(last=False)
        return asked
