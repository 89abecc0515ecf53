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

    def __init__(self, budget: int, size_of: Callable[[V], int]) -> None:
        self.budget = budget
        self._size_of = size_of
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes of the values kept."""
        return self._used

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: K) -> V | None:
        """The value, now the most recently used; None when it is not here."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key][0]

    def put(self, key: K, value: V) -> bool:
        """Keep a value, dropping others to stay within the budget; False when it alone is too large."""
        size = self._size_of(value)
        with self._lock:
            self._drop(key)
            if size > self.budget:
                return False
            self._items[key] = (value, size)
            self._used += size
            while self._used > self.budget:
                self._drop(next(iter(self._items)))
            return True

    def drop(self, key: K) -> None:
        """Forget a value, if it is here."""
        with self._lock:
            self._drop(key)

    def drop_oldest(self) -> bool:
        """Forget the value that was used least recently; False when there is none."""
        with self._lock:
            if not self._items:
                return False
            self._drop(next(iter(self._items)))
            return True

    def drop_where(self, unwanted: Callable[[V], bool]) -> None:
        """Forget all values of which that is true."""
        with self._lock:
            for key in [key for key, (value, _size) in self._items.items() if unwanted(value)]:
                self._drop(key)

    def _drop(self, key: K) -> None:
        entry = self._items.pop(key, None)
        if entry is not None:
            self._used -= entry[1]
