"""Which adapters are in memory: up to a budget, the least recently used out, never one pinned or in use."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from loravit_web.adapters.adapter import Adapter
from loravit_web.errors import LoraVitError

LoadAdapter = Callable[[str], Adapter]


class UnknownTask(LoraVitError):
    """A task that the engine does not hold and can't load."""


class Residency:
    """Adapters by key. Thread-safe; an adapter is loaded once, however many ask for it at once."""

    def __init__(
        self,
        budget: int,
        load: LoadAdapter | None,
        evicted: Callable[[Adapter], None] = lambda _adapter: None,
    ) -> None:
        """
        Args:
            budget: bytes of tensors; exceeded only by what is pinned or in use.
            load: gives an adapter that is asked for and not in memory; may raise `LoraVitError`.
            evicted: told of each adapter that leaves.
        """
        self.budget = budget
        self._load, self._evicted = load, evicted
        self._adapters: OrderedDict[str, Adapter] = OrderedDict()
        self._pinned: set[str] = set()
        self._in_use: Counter[str] = Counter()
        self._loading: dict[str, Future[Adapter]] = {}
        self._used = 0
        self._cleared = 0  # how often; what was being loaded then is not kept
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes of the tensors in memory."""
        return self._used

    def keys(self) -> list[str]:
        """Of the adapters in memory."""
        with self._lock:
            return list(self._adapters)

    def __contains__(self, key: str) -> bool:
        return key in self._adapters

    def __len__(self) -> int:
        return len(self._adapters)

    def add(self, key: str, adapter: Adapter, *, pinned: bool = False) -> None:
        """Keep an adapter under a key, in place of one already there."""
        with self._lock:
            gone = self._put(key, adapter)
            if pinned:
                self._pinned.add(key)
        self._tell(gone)

    def remove(self, key: str) -> None:
        """Let an adapter go, pinned or not; whoever computes with it is not disturbed."""
        with self._lock:
            self._pinned.discard(key)
            gone = self._drop(key)
        self._tell(gone)

    def clear(self) -> None:
        """Let every adapter go, also those that are being loaded, because a key may mean another one now."""
        with self._lock:
            self._cleared += 1
            self._pinned.clear()
            self._loading.clear()
            gone = [adapter for key in list(self._adapters) for adapter in self._drop(key)]
        self._tell(gone)

    def pin(self, key: str) -> None:
        """Keep an adapter in memory until `unpin`, loading it now if need be.

        Raises:
            UnknownTask, LoraVitError: if it can't be had.
        """
        with self.hold((key,)), self._lock:
            self._pinned.add(key)

    def unpin(self, key: str) -> None:
        """Let an adapter be evicted again."""
        with self._lock:
            self._pinned.discard(key)
            gone = self._trim()
        self._tell(gone)

    def peek(self, key: str) -> Adapter:
        """The adapter in memory under a key; leaves the order of eviction alone.

        Raises:
            UnknownTask: if there is none.
        """
        try:
            return self._adapters[key]
        except KeyError:
            raise _unknown(key) from None

    @contextmanager
    def hold(self, keys: Iterable[str]) -> Iterator[dict[str, Adapter]]:
        """Adapters by key, loaded if need be, none of them evicted until the end.

        Raises:
            UnknownTask: if one is not in memory and there is no way to load it.
            LoraVitError: if loading fails.
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
                gone = self._trim()
            self._tell(gone)

    def _acquire(self, key: str) -> Adapter:
        """The adapter of a key, counted as in use."""
        with self._lock:
            adapter = self._adapters.get(key)
            if adapter is not None:
                self._adapters.move_to_end(key)
                self._in_use[key] += 1
                return adapter
            if self._load is None:
                raise _unknown(key)
            future, cleared = self._loading.get(key), self._cleared
            mine = future is None
            if future is None:
                future = self._loading[key] = Future()
        if mine:
            self._fetch(key, future, cleared)
        adapter = future.result()
        with self._lock:
            self._in_use[key] += 1
            kept = key in self._adapters or cleared != self._cleared
            gone = [] if kept else self._put(key, adapter)
        self._tell(gone)
        return adapter

    def _fetch(self, key: str, future: Future[Adapter], cleared: int) -> None:
        """Load for all who wait."""
        assert self._load is not None
        adapter, gone = None, []
        try:
            adapter = self._load(key)
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it, this caller first
            future.set_exception(error)
        with self._lock:
            if self._loading.get(key) is future:
                del self._loading[key]
            if adapter is not None and key not in self._adapters and cleared == self._cleared:
                gone = self._put(key, adapter)
        if adapter is not None:
            future.set_result(adapter)
        self._tell(gone)

    def _put(self, key: str, adapter: Adapter) -> list[Adapter]:
        gone = self._drop(key)
        self._adapters[key] = adapter
        self._used += adapter.nbytes
        return gone + self._trim(spare=key)

    def _drop(self, key: str) -> list[Adapter]:
        adapter = self._adapters.pop(key, None)
        if adapter is None:
            return []
        self._used -= adapter.nbytes
        return [adapter]

    def _trim(self, spare: str | None = None) -> list[Adapter]:
        """Evict until the budget is kept or nothing more may go."""
        gone: list[Adapter] = []
        if self._used <= self.budget:
            return gone
        for key in list(self._adapters):
            if self._used <= self.budget:
                break
            if key != spare and key not in self._pinned and not self._in_use[key]:
                gone += self._drop(key)
        return gone

    def _tell(self, gone: Iterable[Adapter]) -> None:
        for adapter in gone:
            self._evicted(adapter)


def _unknown(key: str) -> UnknownTask:
    return UnknownTask(f"{key} is not loaded: pick a task from the catalog.")
