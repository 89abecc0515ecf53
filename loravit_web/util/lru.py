"""A bounded mapping that forgets what was used least recently."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LRU(Generic[K, V]):
    """Values up to a budget of bytes. Thread-safe; a value larger than the budget is not kept."""

    def __init__(self, budget: int, size_of: Callable[[V], int], *, once: int | None = None) -> None:
        """Start empty.

        Args:
            budget: bytes of all values.
            size_of: gives the bytes of a value.
            once: bytes of the budget for values that were never asked for again, so that thousands that are
                used once, as the images of a table are, do not displace those in use; all when None.
        """
        self.budget = budget
        self._size_of, self._once = size_of, once
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._again: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._used = self._used_once = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes of the values kept."""
        return self._used

    def __len__(self) -> int:
        return len(self._items) + len(self._again)

    def get(self, key: K) -> V | None:
        """The value, now the most recently used; None when it is not here."""
        with self._lock:
            if key in self._again:
                self._again.move_to_end(key)
                return self._again[key][0]
            if key not in self._items:
                return None
            if self._once is None:
                self._items.move_to_end(key)
                return self._items[key][0]
            value, size = self._again[key] = self._items.pop(key)
            self._used_once -= size
            return value

    def put(self, key: K, value: V) -> bool:
        """Keep a value, dropping others to stay within the budget; False when it alone is too large."""
        size, most = self._size_of(value), self.budget if self._once is None else self._once
        with self._lock:
            self._drop(key)
            if size > most:
                return False
            self._items[key] = (value, size)
            self._used += size
            self._used_once += size
            while self._used_once > most:
                self._drop(next(iter(self._items)))
            while self._used > self.budget:
                self._drop(next(iter(self._again)))
            return True

    def drop(self, key: K) -> None:
        """Forget a value, if it is here."""
        with self._lock:
            self._drop(key)

    def drop_oldest(self) -> bool:
        """Forget a value, of those never asked for again if there are any; False when there is none."""
        with self._lock:
            if not self._items and not self._again:
                return False
            self._drop(next(iter(self._items or self._again)))
            return True

    def drop_where(self, unwanted: Callable[[V], bool]) -> None:
        """Forget all values of which that is true."""
        with self._lock:
            for items in (self._items, self._again):
                for key in [key for key, (value, _size) in items.items() if unwanted(value)]:
                    self._drop(key)

    def _drop(self, key: K) -> None:
        if (entry := self._items.pop(key, None)) is not None:
            self._used_once -= entry[1]
        else:
            entry = self._again.pop(key, None)
        if entry is not None:
            self._used -= entry[1]
