"""Adapters in memory, up to a budget.

The least recently used is evicted first, unless it is pinned or in use.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from loravit_web.adapters.adapter import Adapter
from loravit_web.errors import LoraVitError

LoadAdapter = Callable[[str], Adapter]
"""Loads an adapter by its key."""


class UnknownTask(LoraVitError):
    """A task whose adapter is not in memory and cannot be loaded."""


class Residency:
    """Adapters by key. Thread-safe; concurrent requests for an adapter load it once.

    Args:
        budget: Maximum size of the tensors in bytes, exceeded only by adapters that are pinned or in use.
        load: Loads an adapter that is not in memory; may raise `LoraVitError`. None if adapters are only
            added.
    on_evicted: Called with each adapter that is removed.
    """

    def __init__(
        self,
        budget: int,
        load: LoadAdapter | None,
        on_evicted: Callable[[Adapter], None] = lambda _adapter: None,
    ) -> None:
        self.budget = budget
        self._load, self._on_evicted = load, on_evicted
        self._adapters: OrderedDict[str, Adapter] = OrderedDict()
        self._pinned: set[str] = set()
        self._in_use: Counter[str] = Counter()
        self._loading: dict[str, Future[Adapter]] = {}
        self._used = 0
        self._cleared = 0  # number of calls of `clear`; a load that began before one is not kept
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Size in bytes of the tensors in memory."""
        return self._used

    def keys(self) -> list[str]:
        """Return the keys of the adapters in memory."""
        with self._lock:
            return list(self._adapters)

    def __contains__(self, key: str) -> bool:
        return key in self._adapters

    def __len__(self) -> int:
        return len(self._adapters)

    def add(self, key: str, adapter: Adapter, *, pinned: bool = False) -> None:
        """Add an adapter under a key, in place of one already there."""
        with self._lock:
            evicted = self._put(key, adapter)
            if pinned:
                self._pinned.add(key)
        self._notify(evicted)

    def remove(self, key: str) -> None:
        """Remove an adapter, pinned or not; calls that use it are not affected."""
        with self._lock:
            self._pinned.discard(key)
            evicted = self._drop(key)
        self._notify(evicted)

    def clear(self) -> None:
        """Remove every adapter, because a key may stand for another one now.

        Adapters that are being loaded are returned to their callers, but not kept.
        """
        with self._lock:
            self._cleared += 1
            self._pinned.clear()
            self._loading.clear()
            evicted = [adapter for key in list(self._adapters) for adapter in self._drop(key)]
        self._notify(evicted)

    def pin(self, key: str) -> None:
        """Keep an adapter in memory until `unpin`; load it if needed.

        Raises:
            UnknownTask: If the adapter is not in memory and cannot be loaded.
            LoraVitError: If loading fails.
        """
        with self.hold((key,)), self._lock:
            self._pinned.add(key)

    def unpin(self, key: str) -> None:
        """Allow an adapter to be evicted again."""
        with self._lock:
            self._pinned.discard(key)
            evicted = self._trim()
        self._notify(evicted)

    def peek(self, key: str) -> Adapter:
        """Return the adapter in memory under a key, without changing the order of eviction.

        Raises:
            UnknownTask: If no adapter has this key.
        """
        try:
            return self._adapters[key]
        except KeyError:
            raise _unknown(key) from None

    @contextmanager
    def hold(self, keys: Iterable[str]) -> Iterator[dict[str, Adapter]]:
        """Provide adapters by key; load them if needed. None of them is evicted inside the context.

        Raises:
            UnknownTask: If an adapter is not in memory and cannot be loaded.
            LoraVitError: If loading fails.
        """
        held: dict[str, Adapter] = {}
        try:
            for key in keys:
                if key not in held:
                    held[key] = self._acquire(key)
            yield held
        finally:
            with self._lock:
                self._in_use -= Counter(held.keys())
                evicted = self._trim()
            self._notify(evicted)

    def _acquire(self, key: str) -> Adapter:
        """Return the adapter of a key and count it as in use."""
        with self._lock:
            adapter = self._adapters.get(key)
            if adapter is not None:
                self._adapters.move_to_end(key)
                self._in_use[key] += 1
                return adapter
            if self._load is None:
                raise _unknown(key)
            future, cleared = self._loading.get(key), self._cleared
            is_first = future is None
            if future is None:
                future = self._loading[key] = Future()
        if is_first:
            self._fetch(key, future, cleared)
        adapter = future.result()
        with self._lock:
            self._in_use[key] += 1
            kept = key in self._adapters or cleared != self._cleared
            evicted = [] if kept else self._put(key, adapter)
        self._notify(evicted)
        return adapter

    def _fetch(self, key: str, future: Future[Adapter], cleared: int) -> None:
        """Load an adapter for all callers that wait for it."""
        assert self._load is not None
        adapter, evicted = None, []
        try:
            adapter = self._load(key)
        except BaseException as error:  # noqa: BLE001 - raised in every caller that waits
            future.set_exception(error)
        with self._lock:
            if self._loading.get(key) is future:
                del self._loading[key]
            if adapter is not None and key not in self._adapters and cleared == self._cleared:
                evicted = self._put(key, adapter)
        if adapter is not None:
            future.set_result(adapter)
        self._notify(evicted)

    def _put(self, key: str, adapter: Adapter) -> list[Adapter]:
        evicted = self._drop(key)
        self._adapters[key] = adapter
        self._used += adapter.nbytes
        return evicted + self._trim(spare=key)

    def _drop(self, key: str) -> list[Adapter]:
        adapter = self._adapters.pop(key, None)
        if adapter is None:
            return []
        self._used -= adapter.nbytes
        return [adapter]

    def _trim(self, spare: str | None = None) -> list[Adapter]:
        """Evict adapters until the budget is met or none may be evicted."""
        evicted: list[Adapter] = []
        if self._used <= self.budget:
            return evicted
        for key in list(self._adapters):
            if self._used <= self.budget:
                break
            if key != spare and key not in self._pinned and not self._in_use[key]:
                evicted += self._drop(key)
        return evicted

    def _notify(self, evicted: Iterable[Adapter]) -> None:
        for adapter in evicted:
            self._on_evicted(adapter)


def _unknown(key: str) -> UnknownTask:
    return UnknownTask(f"{key} is not loaded. Choose a task from the catalog.")
