"""How to answer fastest on this machine: measured at start, because machines differ either way."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.lora import LoRA
from loravit_web.backbones import Base
from loravit_web.backbones.structure import shallow_copy
from loravit_web.engine.lanes import Lanes, shared_lanes
from loravit_web.engine.multilora import MERGED_BUDGET, MultiLoRAViT
from loravit_web.engine.residency import LoadAdapter
from loravit_web.util.cores import on_all_cores

_IMAGE_SIZE = 224
_ROUNDS = 4
_SECONDS = 0.8
_REACH = 1.3
"""How many times as long as the fastest one a way may take before it is given up."""


@dataclass(frozen=True)
class Way:
    """One way to compute branches.

    Attributes:
        merged: on weights of their own where there is room; else all in mixed batches.
        lanes: side by side in these; or not.
    """

    merged: bool
    lanes: Lanes | None

    def __str__(self) -> str:
        weights = "merged weights" if self.merged else "mixed batches"
        return f"{weights}, {self.lanes.count} lanes" if self.lanes is not None else weights

    def engine(self, base: Base, dtype: torch.dtype, *, load: LoadAdapter | None = None) -> MultiLoRAViT:
        """An engine that computes so; see `MultiLoRAViT`."""
        budget = MERGED_BUDGET if self.merged else 0
        return MultiLoRAViT(base, dtype, load=load, merged_budget=budget, lanes=self.lanes)


def fastest_engine(base: Base, dtype: torch.dtype, *, load: LoadAdapter | None = None) -> MultiLoRAViT:
    """An engine that computes in the way that is measured to be the fastest.

    Args:
        base: in float32.
        dtype: the precision to run blocks in.
        load: see `MultiLoRAViT`.
    """
    return on_all_cores(lambda: fastest_way(base, dtype)).engine(base, dtype, load=load)


def fastest_way(
    base: Base,
    dtype: torch.dtype,
    *,
    image_size: int = _IMAGE_SIZE,
    clock: Callable[[], float] = time.perf_counter,
) -> Way:
    """Time one image and a few tasks on a base of one block, each way in turn.

    On a CPU it depends on the cores, their caches and the precision; a GPU loses by many small calls. A large
    base is measured less often, but no longer than it has to be.

    Args:
        base: in float32.
        dtype: the precision to run blocks in.
    """
    lanes = shared_lanes(base.device)
    ways = [Way(merged, of) for of in dict.fromkeys((None, lanes)) for merged in (True, False)]
    side = image_size // base.patch_size * base.patch_size
    short = _one_block(base)
    tasks = {str(task): replace(_adapter(short, side)) for task in range(2 * (lanes.count if lanes else 2))}
    engines = {way: way.engine(short, dtype) for way in ways}
    for engine in engines.values():
        for key, adapter in tasks.items():
            engine.add(key, adapter)
    image = torch.zeros(1, 3, side, side)
    seconds: dict[Way, list[float]] = {way: [] for way in ways}
    begun = clock()
    for lap in range(_ROUNDS + 1):
        for way in ways:
            started = clock()
            engines[way].forward(image, [list(tasks)])
            engines[way].base.finish()
            if lap > 0:
                seconds[way].append(clock() - started)
        if lap > 0:
            ways = _in_reach({way: statistics.median(seconds[way]) for way in ways})
            if len(ways) == 1 or clock() - begun > _SECONDS:
                break
    return min(ways, key=lambda way: statistics.median(seconds[way]))


def _in_reach(seconds: Mapping[Way, float]) -> list[Way]:
    """Those that another lap may show to be the fastest."""
    return [way for way, taken in seconds.items() if taken <= _REACH * min(seconds.values())]


def _one_block(base: Base) -> Base:
    """The first block and all around it, sharing the weights."""
    model: Any = shallow_copy(base.model)
    model.blocks = base.model.blocks[:1]
    return base.with_model(model)


def _adapter(base: Base, image_size: int) -> Adapter:
    """As much work as a trained one of one block."""
    config = ViTAdapterConfig(blocks=1, pooling="mean")  # which reads the whole of the block
    kind = LoRA()
    blocks = kind.trainable_blocks(base, config, torch.Generator().manual_seed(0))
    return Adapter(
        config=config,
        base_name=base.name,
        base_sha256=base.weights_sha256,
        preprocessing=base.preprocessing(image_size),
        class_names=("one", "other"),
        change=kind.change(blocks, config, base),
        head_weight=torch.zeros(2, base.feature_dim(config.pooling)),
        head_bias=torch.zeros(2),
        temperature=1.0,
        reference_logits=torch.zeros(2),
    )
