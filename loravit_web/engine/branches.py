"""Which adapters have blocks of their own: merged copies, for the hot ones, up to a budget."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base

HALF_LIFE = 256
"""Uses of any adapter after which a use counts half."""
_MARGIN = 1.0


@dataclass
class _Heat:
    """How much an adapter is used: its uses, each halved with every `HALF_LIFE` uses of any since."""

    score: float = 0.0
    tick: int = 0

    def at(self, tick: int) -> float:
        """The score as it has cooled down by now."""
        return float(self.score * 2.0 ** ((self.tick - tick) / HALF_LIFE))


class Branches:
    """Blocks of adapters in their fastest form. Thread-safe; nothing is merged under the lock.

    A branch is kept while there is room. Then only an adapter that is clearly hotter than the coldest ones
    takes their place, so that many adapters used in turn do not merge each other out.
    """

    def __init__(
        self, base: Base, master: Base, budget: int, *, shareable: Callable[[Adapter], bool]
    ) -> None:
        """
        Args:
            base: that runs.
            master: the same in float32, from which weights are merged.
            budget: bytes for merged copies.
            shareable: whether an adapter can be computed in a mixed batch instead.
        """
        self.budget = budget
        self._base, self._master, self._shareable = base, master, shareable
        self._kept: dict[Adapter, tuple[Sequence[nn.Module], int]] = {}
        self._heat: dict[Adapter, _Heat] = {}
        self._merging: set[Adapter] = set()
        self._used = self._tick = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes of the copies kept."""
        return self._used

    def own(self, adapter: Adapter) -> Sequence[nn.Module] | None:
        """The adapter's blocks from its first one on; None when it is to be computed in a mixed batch."""
        if adapter.first_block == self._base.depth:
            return ()
        size = merged_bytes(adapter, self._base)
        with self._lock:
            self._warm(adapter)
            kept = self._kept.get(adapter)
            if kept is not None:
                return kept[0]
            admitted = adapter not in self._merging and self._make_room(adapter, size)
            if admitted:
                self._merging.add(adapter)
                self._used += size
        if admitted:
            return self._merge(adapter, size)
        return None if self._shareable(adapter) else adapter.blocks(self._base)

    def drop(self, adapter: Adapter) -> None:
        """Forget an adapter."""
        with self._lock:
            self._merging.discard(adapter)
            self._heat.pop(adapter, None)
            self._forget(adapter)

    def _merge(self, adapter: Adapter, size: int) -> Sequence[nn.Module]:
        kept = False
        try:
            blocks = adapter.merged_blocks(self._base, self._master)
            with self._lock:
                kept = adapter in self._merging  # not dropped meanwhile
                if kept:
                    self._kept[adapter] = (blocks, size)
            return blocks
        finally:
            with self._lock:
                self._merging.discard(adapter)
                if not kept:
                    self._used -= size

    def _warm(self, adapter: Adapter) -> None:
        self._tick += 1
        heat = self._heat.setdefault(adapter, _Heat())
        heat.score, heat.tick = heat.at(self._tick) + 1, self._tick

    def _make_room(self, adapter: Adapter, size: int) -> bool:
        """Whether an adapter may be merged now; colder ones are forgotten for it."""
        if size > self.budget:
            return False
        missing = self._used + size - self.budget
        leaving: list[Adapter] = []
        heat = self._heat[adapter].at(self._tick)
        for other in sorted(self._kept, key=lambda one: self._heat[one].at(self._tick)):
            if missing <= 0 or self._heat[other].at(self._tick) + _MARGIN > heat:
                break
            leaving.append(other)
            missing -= self._kept[other][1]
        if missing > 0:
            return False
        for other in leaving:
            self._forget(other)
        return True

    def _forget(self, adapter: Adapter) -> None:
        kept = self._kept.pop(adapter, None)
        if kept is not None:
            self._used -= kept[1]


def merged_bytes(adapter: Adapter, base: Base) -> int:
    """Bytes of its own that an adapter's merged blocks need."""
    factors = adapter.change.factors
    if factors is None:
        return sum(t.nbytes for t in adapter.change.tensors)
    return sum(f.a.shape[1] * f.b.shape[0] for f in factors) * base.dtype.itemsize
