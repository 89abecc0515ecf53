"""One frozen ViT that answers for many adapters at once."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base
from loravit_web.engine.lru import LRU
from loravit_web.errors import LoraVitError

MERGED_BUDGET = 512 << 20
TOKENS_BUDGET = 256 << 20


class UnknownTask(LoraVitError):
    """A task that the engine does not hold."""


class MixedInput(LoraVitError):
    """Tasks that need pictures of another size than those given."""


@dataclass(frozen=True, eq=False)
class _Resident:
    """An adapter and its blocks on the running base, factors beside the shared weights."""

    adapter: Adapter
    blocks: Sequence[nn.Module]
    too_large: threading.Event = field(default_factory=threading.Event)
    """Set once its merged copy turned out not to fit the budget at all."""


class MultiLoRAViT:
    """Adapters by key on one base, all in memory; which of them an image wants is an argument of `forward`.

    There is no active adapter and no hook, so any number of threads may call `forward` at once. The
    trunk below the first adapted block runs once per image for all its tasks, and not at all for an
    image seen a moment ago. A branch runs on weights with the adapter merged in; such copies are kept up
    to ``merged_budget``, the least recently used dropped and merged anew when asked for. An adapter whose
    copy alone is larger has its factors computed beside the shared weights.
    """

    def __init__(
        self,
        base: Base,
        dtype: torch.dtype,
        *,
        merged_budget: int = MERGED_BUDGET,
        tokens_budget: int = TOKENS_BUDGET,
    ) -> None:
        """
        Args:
            base: in float32; kept, since merging starts from it.
            dtype: the precision to run blocks in; heads stay float32.
            merged_budget: bytes for merged copies of weights.
            tokens_budget: bytes for prefix tokens of recent images.
        """
        self.master = base
        self.base = base.cast(dtype)
        self._residents: Mapping[str, _Resident] = {}
        self._lock = threading.Lock()
        # By resident, not by key: a branch merged while its adapter was replaced is never found again.
        self._merged: LRU[_Resident, Sequence[nn.Module]] = LRU(merged_budget, _own_bytes(self.base))
        self._tokens: LRU[tuple[str, int], torch.Tensor] = LRU(tokens_budget, lambda t: t.nbytes)

    def add(self, key: str, adapter: Adapter) -> None:
        """Hold an adapter under a key; one already held under it is replaced."""
        resident = _Resident(adapter, adapter.blocks(self.base))
        with self._lock:
            replaced = self._residents.get(key)
            self._residents = {**self._residents, key: resident}
        if replaced is not None:
            self._merged.drop(replaced)

    def remove(self, key: str) -> None:
        """Let an adapter go; calls that already run are not disturbed."""
        with self._lock:
            removed = self._residents.get(key)
            self._residents = {k: r for k, r in self._residents.items() if k != key}
        if removed is not None:
            self._merged.drop(removed)

    def __contains__(self, key: str) -> bool:
        return key in self._residents

    def __len__(self) -> int:
        return len(self._residents)

    def adapter(self, key: str) -> Adapter:
        """The adapter held under a key.

        Raises:
            UnknownTask: if there is none.
        """
        return self._resident(key).adapter

    def forward(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        *,
        seconds: MutableMapping[str, float] | None = None,
    ) -> list[dict[str, torch.Tensor]]:
        """Answer every image for every task that it is assigned.

        Args:
            images: normalised float32 (B, 3, S, S).
            assignment: for each of the B images the keys of its tasks.
            seconds: filled, where given, with the time of each branch, the trunk apart.

        Returns:
            For each image, float32 logits (C,) by key, in the order of its assignment.

        Raises:
            UnknownTask: if a key is not held.
            MixedInput: if a task needs another image size than S.
        """
        residents = {key: self._resident(key) for keys in assignment for key in keys}
        side = images.shape[-1]
        for key, resident in residents.items():
            if resident.adapter.preprocessing.image_size != side:
                needed = resident.adapter.preprocessing.image_size
                raise MixedInput(f"{key} takes pictures of {needed} px, these have {side} px.")
        answers: list[dict[str, torch.Tensor]] = [{} for _ in assignment]
        with torch.inference_mode():
            trunk = _Trunk(self.base, images, self._tokens)
            # Ascending first blocks: the trunk only ever goes deeper.
            for key, resident in sorted(residents.items(), key=lambda item: item[1].adapter.first_block):
                rows = [row for row, keys in enumerate(assignment) if key in keys]
                tokens = trunk.at(resident.adapter.first_block, rows)
                started = time.perf_counter()
                for block in self._branch(resident):
                    tokens = block(tokens)
                logits = resident.adapter.head(self.base.features(tokens, resident.adapter.config.pooling))
                if seconds is not None:
                    seconds[key] = time.perf_counter() - started
                for row, row_logits in zip(rows, logits, strict=True):
                    answers[row][key] = row_logits.clone()
        return [{key: answer[key] for key in keys} for answer, keys in zip(answers, assignment, strict=True)]

    def _resident(self, key: str) -> _Resident:
        try:
            return self._residents[key]
        except KeyError:
            raise UnknownTask(f"{key} is not loaded: pick a task from the catalog.") from None

    def _branch(self, resident: _Resident) -> Sequence[nn.Module]:
        if resident.too_large.is_set():
            return resident.blocks
        merged = self._merged.get(resident)
        if merged is None:
            merged = resident.adapter.merged_blocks(self.base, self.master)
            if not self._merged.put(resident, merged):
                resident.too_large.set()
        return merged


class _Trunk:
    """The shared part of one call: tokens of each image at the depths that its tasks branch off."""

    def __init__(self, base: Base, images: torch.Tensor, cache: LRU[tuple[str, int], torch.Tensor]) -> None:
        self.base, self.images, self.cache = base, images, cache
        self.contents = [hashlib.sha256(image.contiguous().numpy().data).hexdigest() for image in images]
        self.reached: list[tuple[int, torch.Tensor] | None] = [None] * len(images)

    def at(self, depth: int, rows: Sequence[int]) -> torch.Tensor:
        """Tokens (len(rows), N, D) before block ``depth``."""
        behind: dict[int, list[int]] = {}
        for row in rows:
            reached = self.reached[row]
            if reached is not None and reached[0] == depth:
                continue
            cached = self.cache.get((self.contents[row], depth))
            if cached is not None:
                self.reached[row] = (depth, cached)
            else:
                behind.setdefault(-1 if reached is None else reached[0], []).append(row)
        for start, group in behind.items():
            self._advance(start, depth, group)
        return torch.stack([self._tokens(row) for row in rows])

    def _advance(self, start: int, depth: int, rows: Sequence[int]) -> None:
        if start < 0:
            tokens = self.base.advance(self.base.embed(self.images[list(rows)]), 0, depth)
        else:
            tokens = self.base.advance(torch.stack([self._tokens(row) for row in rows]), start, depth)
        for row, row_tokens in zip(rows, tokens, strict=True):
            kept = row_tokens.clone()
            self.reached[row] = (depth, kept)
            self.cache.put((self.contents[row], depth), kept)

    def _tokens(self, row: int) -> torch.Tensor:
        reached = self.reached[row]
        if reached is None:
            raise AssertionError("tokens are asked for before they were computed")
        return reached[1]


def _own_bytes(base: Base) -> Callable[[Iterable[nn.Module]], int]:
    """Bytes of a branch's parameters that are its own, not the running base's."""
    shared = {id(p) for p in base.model.parameters()}

    def size(blocks: Iterable[nn.Module]) -> int:
        parameters = {id(p): p for block in blocks for p in block.parameters()}
        return sum(p.nbytes for key, p in parameters.items() if key not in shared)

    return size
