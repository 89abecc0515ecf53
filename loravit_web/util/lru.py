"""A bounded mapping that evicts the least recently used values."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LRU(Generic[K, V]):
    """Values up to a budget of bytes. Thread-safe; a value that is larger than the budget is not kept.

    Args:
        budget: Maximum size of all values in bytes.
        size_of: Returns the size of a value in bytes.
        one_time_budget: Part of the budget for values that were not requested again, so that thousands of
            values that are used once, such as the images of a table, do not evict the others; None for
            the whole budget.

    Attributes:
        hits: Number of times that `get` found a value.
        misses: Number of times that it found none.
    """

    def __init__(
        self, budget: int, size_of: Callable[[V], int], *, one_time_budget: int | None = None
    ) -> None:
        self.budget = budget
        self.hits = self.misses = 0
        self._size_of, self._one_time_budget = size_of, one_time_budget
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._reused: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._used = self._one_time_used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Size of the values in bytes."""
        return self._used

    def __len__(self) -> int:
        return len(self._items) + len(self._reused)

    def get(self, key: K) -> V | None:
        """Return a value and make it the most recently used, or None."""
        with self._lock:
            if key in self._reused:
                self.hits += 1
                self._reused.move_to_end(key)
                return self._reused[key][0]
            if key not in self._items:
                self.misses += 1
                return None
            self.hits += 1
            if self._one_time_budget is None:
                self._items.move_to_end(key)
                return self._items[key][0]
            value, size = self._reused[key] = self._items.pop(key)
            self._one_time_used -= size
            return value

    def put(self, key: K, value: V) -> bool:
        """Keep a value and evict others if needed.

        Returns:
            False if the value alone is too large.
        """
        size, limit = (
            self._size_of(value),
            self.budget if self._one_time_budget is None else self._one_time_budget,
        )
        with self._lock:
            self._drop(key)
            if size > limit:
                return False
            self._items[key] = (value, size)
            self._used += size
            self._one_time_used += size
            while self._one_time_used > limit:
                self._drop(next(iter(self._items)))
            while self._used > self.budget:
                self._drop(next(iter(self._reused)))
            return True

    def drop(self, key: K) -> None:
        """Remove a value if it is present."""
        with self._lock:
            self._drop(key)

    def evict_oldest(self) -> bool:
        """Evict a value, preferably one that was not requested again.

        Returns:
            False if there is none.
        """
        with self._lock:
            if not self._items and not self._reused:
                return False
            self._drop(next(iter(self._items or self._reused)))
            return True

    def drop_where(self, unwanted: Callable[[V], bool]) -> None:
        """Remove all values for which ``unwanted`` is true."""
        with self._lock:
            for items in (self._items, self._reused):
                for key in [key for key, (value, _size) in items.items() if unwanted(value)]:
                    self._drop(key)

    def _drop(self, key: K) -> None:
        if (entry := self._items.pop(key, None)) is not None:
            self._one_time_used -= entry[1]
        else:
            entry = self._reused.pop(key, None)
        if entry is not None:
            self._used -= entry[1]
