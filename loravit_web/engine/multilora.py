"""One frozen ViT that runs many adapters at the same time."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

import torch

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base, TrunkOutput
from loravit_web.backbones.forms import InferenceForm
from loravit_web.backbones.plain_block import Layout
from loravit_web.engine.branches import Branches
from loravit_web.engine.compiled import CompiledParts, OpenVino
from loravit_web.engine.heatmap import Starts, blurred, chosen_integration, heatmap, prefix_depth
from loravit_web.engine.lanes import Lanes, spread
from loravit_web.engine.residency import LoadAdapter, Residency
from loravit_web.engine.routing import Factors, called_layers, multi_lora_blocks, running_factors
from loravit_web.engine.trunk import TokenCache, Trunk
from loravit_web.engine.units import Branch, Unit, UnitResult, compute_units, work_of
from loravit_web.errors import LoraVitError
from loravit_web.util.cores import on_all_cores
from loravit_web.util.lru import LRU

ADAPTERS_BUDGET = 1 << 30
MERGED_BUDGET = 512 << 20
FACTORS_BUDGET = 64 << 20
TOKENS_BUDGET = 256 << 20
ONE_TIME_FRACTION = 4
"""Fraction of the budget, as a divisor, for images that were requested only once.

It keeps a table of images from evicting the rest.
"""


class MixedInput(LoraVitError):
    """Tasks that need another image size than that of the given images."""


class MultiLoRAViT:
    """Adapters by key on one base. The tasks of each image are an argument of `forward`.

    There is no active adapter and no hook, so any number of threads may call `forward` at once without a lock
    around the computation. If `gather_cores` is active, the calls take turns on all cores.

    The trunk below the first adapted block runs once per image for all of its tasks, and not at all if the
    image's prefix tokens are cached. A branch is then computed in one of two ways. Frequently used adapters
    run on blocks of their own with the change merged in, up to ``merged_budget``. All others share one mixed
    batch: the frozen layers run once for all rows, the low-rank factors on the rows of their adapter. With
    lanes, several images and tasks, or several calls, are computed in parallel.

    Args:
        base: Base in float32; it is kept, because merging starts from it.
        dtype: Precision of the blocks. Heads stay float32.
        load: Loads an adapter by its key when it is requested and not in memory.
        adapters_budget: Maximum size of the adapters in bytes; the least recently used one is evicted first.
        merged_budget: Maximum size of merged weights in bytes; 0 to compute in mixed batches only.
        tokens_budget: Maximum size of the cached prefix tokens in bytes.
        lanes: Lanes to compute in, or None to compute in the calling thread.
        layout: Layout of the weights, on a CPU.
        openvino: How OpenVINO computes few images, or None for PyTorch alone.
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
        layout: Layout = "loaded",
        openvino: OpenVino | None = None,
    ) -> None:
        self.master = base
        self.base = base.cast(dtype)
        self.lanes = lanes
        form = InferenceForm(self.base, layout)
        self._running = form.base
        self._blocks = multi_lora_blocks(self._running)
        self._called = called_layers(self._running, self._blocks)
        self._branches = Branches(self.base, base, merged_budget, shareable=self._shareable, form=form)
        self.compiled = None if openvino is None else openvino.parts(self._running, base, layout)
        self._factors: LRU[Adapter, Factors] = LRU(FACTORS_BUDGET, _nbytes)
        self._tokens: TokenCache = LRU(
            tokens_budget, lambda t: t.nbytes, one_time_budget=tokens_budget // ONE_TIME_FRACTION
        )
        self._residency = Residency(adapters_budget, load, self._evict)

    @property
    def token_lookups(self) -> tuple[int, int]:
        """How often the prefix tokens of an image were cached, and how often they were not."""
        return self._tokens.hits, self._tokens.misses

    def add(self, key: str, adapter: Adapter, *, pinned: bool = False) -> None:
        """Add an adapter under a key, in place of one already there. A pinned adapter is never evicted."""
        self._residency.add(key, adapter, pinned=pinned)

    def remove(self, key: str) -> None:
        """Remove an adapter; calls that use it are not affected."""
        self._residency.remove(key)

    def clear(self) -> None:
        """Remove every adapter, including those that are being loaded; see `Residency.clear`."""
        self._residency.clear()

    def pin(self, key: str) -> None:
        """Keep an adapter in memory until `unpin`; load it if needed.

        Raises:
            UnknownTask: If the adapter is not in memory and cannot be loaded.
            LoraVitError: If loading fails.
        """
        self._residency.pin(key)

    def unpin(self, key: str) -> None:
        """Allow an adapter to be evicted again."""
        self._residency.unpin(key)

    def ensure(self, key: str) -> Adapter:
        """Return the adapter of a key; load it if needed.

        Raises:
            UnknownTask: If the adapter is not in memory and cannot be loaded.
            LoraVitError: If loading fails.
        """
        with self._residency.hold((key,)) as held:
            return held[key]

    def keys(self) -> list[str]:
        """Return the keys of the adapters in memory."""
        return self._residency.keys()

    @property
    def lane_count(self) -> int:
        """Number of calls of `forward` that can be computed in parallel; 1 without lanes."""
        return 1 if self.lanes is None else self.lanes.count

    @property
    def full(self) -> bool:
        """Whether loading another adapter would evict one."""
        return self._residency.used >= self._residency.budget

    def __contains__(self, key: str) -> bool:
        return key in self._residency

    def __len__(self) -> int:
        return len(self._residency)

    def adapter(self, key: str) -> Adapter:
        """Return the adapter in memory under a key.

        Raises:
            UnknownTask: If no adapter has this key.
        """
        return self._residency.peek(key)

    def forward(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        *,
        seconds: MutableMapping[str, float] | None = None,
        novelty: Sequence[MutableMapping[str, float]] | None = None,
        in_one_lane: bool = False,
    ) -> list[dict[str, torch.Tensor]]:
        """Return the logits of every image for each of its tasks.

        Args:
            images: Normalized float32 images (B, 3, S, S).
            assignment: Keys of the tasks of each of the B images.
            seconds: Filled with the compute time of each branch in seconds, without the trunk. The time of a
                mixed batch is divided by the work of each task. With lanes the sum may exceed the duration of
                the call, because branches run in parallel.
            novelty: One mapping for each image, filled with how unlike the training images of a task it is,
                above 1 for an unlike one. Tasks that cannot tell are left out.
            in_one_lane: Compute in a single lane, so that other calls can be computed in parallel.

        Returns:
            For each image, float32 logits (C,) by key, in the order of its assignment.

        Raises:
            UnknownTask: If an adapter is not in memory and cannot be loaded.
            LoraVitError: If loading fails.
            MixedInput: If a task needs another image size than S.
        """
        keys = dict.fromkeys(key for keys in assignment for key in keys)
        with self._residency.hold(keys) as adapters:
            _check_size(adapters, images.shape[-1])
            if in_one_lane and self.lanes is not None:
                (results,) = self.lanes.run(
                    [lambda: self._results(images, assignment, adapters, None, in_one_lane=True)]
                )
            else:
                results = on_all_cores(
                    lambda: self._results(images, assignment, adapters, self.lanes, in_one_lane=False)
                )
        for row, by_key in enumerate(results):
            for key, result in by_key.items():
                if seconds is not None:
                    seconds[key] = seconds.get(key, 0.0) + result.seconds
                if novelty is not None and result.novelty is not None:
                    novelty[row][key] = result.novelty
        return [{key: result.logits for key, result in by_key.items()} for by_key in results]

    def heatmap(self, key: str, images: torch.Tensor, label: int) -> torch.Tensor:
        """Return which patches of one image contribute to a class; see `engine.heatmap.heatmap`.

        If the prefix tokens of the image are cached, the trunk does not run again.

        Args:
            key: Key of the task.
            images: Normalized float32 image (1, 3, S, S).
            label: Index of the class.

        Returns:
            Float32 map (S / patch, S / patch) from 0 to 1.

        Raises:
            UnknownTask: If the adapter is not in memory and cannot be loaded.
            LoraVitError: If loading fails.
            MixedInput: If the task needs another image size than S.
        """
        with self._residency.hold((key,)) as adapters:
            _check_size(adapters, images.shape[-1])
            return self._heatmap(adapters[key], images, label)

    def _results(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        adapters: Mapping[str, Adapter],
        lanes: Lanes | None,
        *,
        in_one_lane: bool,
    ) -> list[dict[str, UnitResult]]:
        """Return the results of each image by key, in the order of its assignment."""
        results: list[dict[str, UnitResult]] = [{} for _ in assignment]
        compiled = None if in_one_lane else self.compiled  # compiled parts use all cores
        with torch.inference_mode():
            units = self._units(images, assignment, adapters, lanes, compiled)
            for unit, result in zip(units, self._computed(units, lanes), strict=True):
                results[unit.row][unit.branch.key] = result._replace(logits=result.logits.clone())
        return [{key: result[key] for key in keys} for result, keys in zip(results, assignment, strict=True)]

    def _heatmap(self, adapter: Adapter, images: torch.Tensor, label: int) -> torch.Tensor:
        @torch.inference_mode()
        def starts() -> Starts:
            trunk = Trunk(
                self._running, torch.cat([images, blurred(images)]), self._tokens, self.lanes, self.compiled
            )
            depth = prefix_depth(adapter, chosen_integration(self.base, adapter).depth)
            return Starts(*(TrunkOutput(*(part[None] for part in row)) for row in trunk.at(depth, [0, 1])))

        return heatmap(self.base, adapter, on_all_cores(starts), label)

    def _units(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        adapters: Mapping[str, Adapter],
        lanes: Lanes | None,
        compiled: CompiledParts | None,
    ) -> list[Unit]:
        """Return everything to compute, with the tokens from the trunk."""
        trunk = Trunk(self._running, images, self._tokens, lanes, compiled)
        units = []
        # In ascending order of first blocks, because the trunk only ever goes deeper.
        for key in sorted(adapters, key=lambda key: adapters[key].first_block):
            adapter = adapters[key]
            rows = [row for row, keys in enumerate(assignment) if key in keys]
            run = None if compiled is None else compiled.branch(adapter, len(rows), images.shape[-1])
            blocks = self._branches.blocks(adapter) if run is None else ()
            factors = self._running_factors(adapter) if blocks is None else {}
            branch = Branch(key, adapter, blocks, factors, run)
            outputs = trunk.at(adapter.first_block, rows)
            units += [Unit(branch, row, *output) for row, output in zip(rows, outputs, strict=True)]
        return units

    def _computed(self, units: Sequence[Unit], lanes: Lanes | None) -> list[UnitResult]:
        """Return the result of each unit. Compiled branches take all cores one after another."""
        compiled = [unit for unit in units if unit.branch.compiled is not None]
        others = [unit for unit in units if unit.branch.compiled is None]
        results = compute_units(self._running, self._blocks, compiled)
        results += spread(
            lanes,
            [work_of(unit, self.base) for unit in others],
            lambda parts: compute_units(self._running, self._blocks, [others[part] for part in parts]),
        )
        by_unit = dict(zip([*compiled, *others], results, strict=True))
        return [by_unit[unit] for unit in units]

    def _running_factors(self, adapter: Adapter) -> Factors:
        factors = self._factors.get(adapter)
        if factors is None:
            factors = running_factors(adapter, self._running)
            self._factors.put(adapter, factors)
        return factors

    def _shareable(self, adapter: Adapter) -> bool:
        factors = adapter.change.factors
        return factors is not None and all((f.block, f.path) in self._called for f in factors)

    def _evict(self, adapter: Adapter) -> None:
        self._branches.drop(adapter)
        if self.compiled is not None:
            self.compiled.drop(adapter)
        self._factors.drop(adapter)


def _check_size(adapters: Mapping[str, Adapter], side: int) -> None:
    for key, adapter in adapters.items():
        needed = adapter.preprocessing.image_size
        if needed != side:
            raise MixedInput(
                f"{key} takes images of {needed} px, but these have {side} px. Resize them to {needed} px."
            )


def _nbytes(factors: Factors) -> int:
    return sum(t.nbytes for pair in factors.values() for t in pair)
