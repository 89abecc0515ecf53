"""One frozen ViT that answers for many adapters at once."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

import torch

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base
from loravit_web.engine.branches import Branches
from loravit_web.engine.heatmap import heatmap, prefix_depth
from loravit_web.engine.lanes import Lanes, spread
from loravit_web.engine.residency import LoadAdapter, Residency
from loravit_web.engine.routing import Factors, called_layers, multi_lora_blocks, running_factors
from loravit_web.engine.trunk import Trunk
from loravit_web.engine.units import Answered, Branch, Unit, computed, work_of
from loravit_web.errors import LoraVitError
from loravit_web.util.cores import on_all_cores
from loravit_web.util.lru import LRU

ADAPTERS_BUDGET = 1 << 30
MERGED_BUDGET = 512 << 20
FACTORS_BUDGET = 64 << 20
TOKENS_BUDGET = 256 << 20
TOKENS_ONCE = 4
"""One part in so many of a budget is for images that were asked about once, as those of a table are."""


class MixedInput(LoraVitError):
    """Tasks that need pictures of another size than those given."""


class MultiLoRAViT:
    """Adapters by key on one base; which of them an image wants is an argument of `forward`.

    There is no active adapter and no hook, so any number of threads may call `forward` at once, without a
    lock around the math; where the cores are gathered, those calls take turns that use all of them. The trunk
    below the first adapted block runs once per image for all its tasks, and not at all for an image seen a
    moment ago. Then an adapter's branch is computed in one of two ways: on blocks of its own with the change
    merged in, for hot adapters up to ``merged_budget``; or in one mixed batch with all others, frozen layers
    once for all rows and factors on the rows of each. Where there are lanes, several images and tasks are
    computed side by side in them, or several calls, each in one of them.
    """

    def __init__(
        self,
        base: Base,
        dtype: torch.dtype,
        *,
        load: LoadAdapter | None = None,
        adapters_budget: int = ADAPTERS_BUDGET,
        merged_budget: int = MERGED_BUDGET,
        tokens_budget: int = TOKENS_BUDGET,
        lanes: Lanes | None = None,
    ) -> None:
        """
        Args:
            base: in float32; kept, since merging starts from it.
            dtype: the precision to run blocks in; heads stay float32.
            load: gives an adapter by its key when it is asked for and not in memory.
            adapters_budget: bytes for adapters; the least recently used is let go.
            merged_budget: bytes for merged copies of weights; none where mixed batches are faster.
            tokens_budget: bytes for prefix tokens of recent images.
            lanes: to compute in side by side; None to compute in the calling thread alone.
        """
        self.master = base
        self.base = base.cast(dtype)
        self.lanes = lanes
        self._blocks = multi_lora_blocks(self.base)
        self._called = called_layers(self.base, self._blocks)
        self._branches = Branches(self.base, base, merged_budget, shareable=self._shareable)
        self._factors: LRU[Adapter, Factors] = LRU(FACTORS_BUDGET, _nbytes)
        self._tokens: LRU[tuple[str, int], torch.Tensor] = LRU(
            tokens_budget, lambda t: t.nbytes, once=tokens_budget // TOKENS_ONCE
        )
        self._residency = Residency(adapters_budget, load, self._forget)

    def add(self, key: str, adapter: Adapter, *, pinned: bool = False) -> None:
        """Hold an adapter under a key, in place of one already there; pinned ones are never let go."""
        self._residency.add(key, adapter, pinned=pinned)

    def remove(self, key: str) -> None:
        """Let an adapter go; calls that already run are not disturbed."""
        self._residency.remove(key)

    def clear(self) -> None:
        """Let every adapter go, also those that are being loaded; see `Residency.clear`."""
        self._residency.clear()

    def pin(self, key: str) -> None:
        """Keep an adapter in memory until `unpin`, loading it now if need be.

        Raises:
            UnknownTask, LoraVitError: if it can't be had.
        """
        self._residency.pin(key)

    def unpin(self, key: str) -> None:
        """Let an adapter go again when room is needed."""
        self._residency.unpin(key)

    def ensure(self, key: str) -> Adapter:
        """The adapter of a key, loaded now if need be.

        Raises:
            UnknownTask, LoraVitError: if it can't be had.
        """
        with self._residency.hold((key,)) as held:
            return held[key]

    def keys(self) -> list[str]:
        """The keys of the adapters in memory."""
        return self._residency.keys()

    @property
    def lane_count(self) -> int:
        """How many calls of `forward` can be computed side by side; 1 where there are no lanes."""
        return 1 if self.lanes is None else self.lanes.count

    @property
    def full(self) -> bool:
        """Whether another adapter would have to take the place of one in memory."""
        return self._residency.used >= self._residency.budget

    def __contains__(self, key: str) -> bool:
        return key in self._residency

    def __len__(self) -> int:
        return len(self._residency)

    def adapter(self, key: str) -> Adapter:
        """The adapter in memory under a key.

        Raises:
            UnknownTask: if there is none.
        """
        return self._residency.peek(key)

    def forward(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        *,
        seconds: MutableMapping[str, float] | None = None,
        in_one_lane: bool = False,
    ) -> list[dict[str, torch.Tensor]]:
        """Answer every image for every task that it is assigned.

        Args:
            images: normalised float32 (B, 3, S, S).
            assignment: for each of the B images the keys of its tasks.
            seconds: filled, where given, with the time of each branch, the trunk apart; what was computed
                together is divided by the work that each task had in it. In lanes others ran at the same
                time, so the sum may be more than the call took.
            in_one_lane: computed in one of the lanes, so that other calls are computed beside it.

        Returns:
            For each image, float32 logits (C,) by key, in the order of its assignment.

        Raises:
            UnknownTask, LoraVitError: if a key is not held and can't be loaded.
            MixedInput: if a task needs another image size than S.
        """
        keys = dict.fromkeys(key for keys in assignment for key in keys)
        with self._residency.hold(keys) as adapters:
            _check_size(adapters, images.shape[-1])
            if in_one_lane and self.lanes is not None:
                (answers,) = self.lanes.run(
                    [lambda: self._answers(images, assignment, adapters, seconds, None)]
                )
                return answers
            return on_all_cores(lambda: self._answers(images, assignment, adapters, seconds, self.lanes))

    def heatmap(self, key: str, images: torch.Tensor, label: int) -> torch.Tensor:
        """Which patches of one picture speak for a class; see `engine.heatmap.heatmap`.

        An image that was answered before is not run through the trunk again.

        Args:
            images: normalised float32 (1, 3, S, S).
            label: index of the class.

        Raises:
            UnknownTask, LoraVitError: if the key is not held and can't be loaded.
            MixedInput: if the task needs another image size than S.
        """
        with self._residency.hold((key,)) as adapters:
            _check_size(adapters, images.shape[-1])
            return on_all_cores(lambda: self._heatmap(adapters[key], images, label))

    def _answers(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        adapters: Mapping[str, Adapter],
        seconds: MutableMapping[str, float] | None,
        lanes: Lanes | None,
    ) -> list[dict[str, torch.Tensor]]:
        answers: list[dict[str, torch.Tensor]] = [{} for _ in assignment]
        with torch.inference_mode():
            units = self._units(images, assignment, adapters, lanes)
            for unit, (logits, spent) in zip(units, self._computed(units, lanes), strict=True):
                answers[unit.row][unit.branch.key] = logits.clone()
                if seconds is not None:
                    seconds[unit.branch.key] = seconds.get(unit.branch.key, 0.0) + spent
        return [{key: answer[key] for key in keys} for answer, keys in zip(answers, assignment, strict=True)]

    def _heatmap(self, adapter: Adapter, images: torch.Tensor, label: int) -> torch.Tensor:
        with torch.inference_mode():
            trunk = Trunk(self.base, images, self._tokens, self.lanes)
            (prefix,) = trunk.at(prefix_depth(self.base, adapter), [0])
        return heatmap(self.base, adapter, prefix[None], label)

    def _units(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        adapters: Mapping[str, Adapter],
        lanes: Lanes | None,
    ) -> list[Unit]:
        """All that is to be computed, with the tokens from the trunk."""
        trunk = Trunk(self.base, images, self._tokens, lanes)
        units = []
        # Ascending first blocks: the trunk only ever goes deeper.
        for key in sorted(adapters, key=lambda key: adapters[key].first_block):
            adapter = adapters[key]
            blocks = self._branches.own(adapter)
            branch = Branch(key, adapter, blocks, self._running(adapter) if blocks is None else {})
            rows = [row for row, keys in enumerate(assignment) if key in keys]
            tokens = trunk.at(adapter.first_block, rows)
            units += [Unit(branch, row, own) for row, own in zip(rows, tokens, strict=True)]
        return units

    def _computed(self, units: Sequence[Unit], lanes: Lanes | None) -> list[Answered]:
        return spread(
            lanes,
            [work_of(unit, self.base) for unit in units],
            lambda parts: computed(self.base, self._blocks, [units[part] for part in parts]),
        )

    def _running(self, adapter: Adapter) -> Factors:
        factors = self._factors.get(adapter)
        if factors is None:
            factors = running_factors(adapter, self.base)
            self._factors.put(adapter, factors)
        return factors

    def _shareable(self, adapter: Adapter) -> bool:
        factors = adapter.change.factors
        return factors is not None and all((f.block, f.path) in self._called for f in factors)

    def _forget(self, adapter: Adapter) -> None:
        self._branches.drop(adapter)
        self._factors.drop(adapter)


def _check_size(adapters: Mapping[str, Adapter], side: int) -> None:
    for key, adapter in adapters.items():
        needed = adapter.preprocessing.image_size
        if needed != side:
            raise MixedInput(f"{key} takes pictures of {needed} px, these have {side} px.")


def _nbytes(factors: Factors) -> int:
    return sum(t.nbytes for pair in factors.values() for t in pair)
