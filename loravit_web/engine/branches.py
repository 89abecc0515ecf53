"""Adapted blocks of frequently used adapters, with the adapter merged into the weights, up to a budget."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base
from loravit_web.backbones.forms import InferenceForm

HALF_LIFE = 256
"""Number of uses of any adapter after which an earlier use counts half."""
_MARGIN = 1.0
"""Score by which an adapter must exceed a kept one to replace it."""


@dataclass
class _Heat:
    """How often an adapter was used: each use counts half after `HALF_LIFE` further uses of any adapter."""

    score: float = 0.0
    tick: int = 0

    def at(self, tick: int) -> float:
        """Return the decayed score at the given tick."""
        return float(self.score * 2.0 ** ((self.tick - tick) / HALF_LIFE))


class Branches:
    """Blocks of adapters in their fastest form. Thread-safe; merging runs outside the lock.

    Merged blocks are kept while the budget lasts. After that, an adapter replaces others only if it is
    clearly hotter than they are, so that many adapters used in turn do not evict one another.

    Args:
        base: Base that runs.
        master: The same base in float32, from which weights are merged.
        budget: Maximum size of the merged copies in bytes.
        shareable: Returns whether an adapter can be computed in a mixed batch instead.
        form: Form in which blocks are computed.
    """

    def __init__(
        self,
        base: Base,
        master: Base,
        budget: int,
        *,
        shareable: Callable[[Adapter], bool],
        form: InferenceForm,
    ) -> None:
        self.budget = budget
        self._base, self._master, self._shareable, self._form = base, master, shareable, form
        self._kept: dict[Adapter, tuple[Sequence[nn.Module], int]] = {}
        self._heat: dict[Adapter, _Heat] = {}
        self._merging: set[Adapter] = set()
        self._used = self._tick = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Size of the kept copies in bytes."""
        return self._used

    def blocks(self, adapter: Adapter) -> Sequence[nn.Module] | None:
        """Return the adapter's own blocks, merged if the budget allows it.

        Args:
            adapter: Adapter that is used now; the use raises its score.

        Returns:
            Blocks from the adapter's first one on, or None if it has to be computed in a mixed batch.
        """
        if not adapter.change.tensors:
            return ()
        size = merged_bytes(adapter, self._base)
        with self._lock:
            self._record_use(adapter)
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
        """Remove everything that is kept for an adapter."""
        with self._lock:
            self._merging.discard(adapter)
            self._heat.pop(adapter, None)
            self._forget(adapter)

    def _merge(self, adapter: Adapter, size: int) -> Sequence[nn.Module]:
        kept = False
        try:
            blocks = [self._form.block(block) for block in adapter.merged_blocks(self._base, self._master)]
            with self._lock:
                kept = adapter in self._merging  # False if it was dropped meanwhile
                if kept:
                    self._kept[adapter] = (blocks, size)
            return blocks
        finally:
            with self._lock:
                self._merging.discard(adapter)
                if not kept:
                    self._used -= size

    def _record_use(self, adapter: Adapter) -> None:
        self._tick += 1
        heat = self._heat.setdefault(adapter, _Heat())
        heat.score, heat.tick = heat.at(self._tick) + 1, self._tick

    def _make_room(self, adapter: Adapter, size: int) -> bool:
        """Return whether an adapter may be merged now, after evicting colder ones if needed."""
        if size > self.budget:
            return False
        missing = self._used + size - self.budget
        evicted: list[Adapter] = []
        heat = self._heat[adapter].at(self._tick)
        for other in sorted(self._kept, key=lambda kept: self._heat[kept].at(self._tick)):
            if missing <= 0 or self._heat[other].at(self._tick) + _MARGIN > heat:
                break
            evicted.append(other)
            missing -= self._kept[other][1]
        if missing > 0:
            return False
        for other in evicted:
            self._forget(other)
        return True

    def _forget(self, adapter: Adapter) -> None:
        kept = self._kept.pop(adapter, None)
        if kept is not None:
            self._used -= kept[1]


def merged_bytes(adapter: Adapter, base: Base) -> int:
    """Return the size in bytes of the tensors that an adapter's merged blocks do not share with the base."""
    factors = adapter.change.factors
    if factors is None:
        return sum(t.nbytes for t in adapter.change.tensors)
    return sum(f.a.shape[1] * f.b.shape[0] for f in factors) * base.dtype.itemsize
