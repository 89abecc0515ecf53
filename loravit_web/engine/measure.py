"""How to answer fastest on this machine: measured at start, because machines differ either way."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.lora import LoRA
from loravit_web.backbones import Base
from loravit_web.engine.multilora import MERGED_BUDGET, MultiLoRAViT
from loravit_web.engine.residency import LoadAdapter
from loravit_web.engine.routing import Segment, multi_lora_blocks, routed

_TASKS = 4
_IMAGE_SIZE = 224


def fastest_engine(base: Base, dtype: torch.dtype, *, load: LoadAdapter | None = None) -> MultiLoRAViT:
    """An engine with merged branches where they are faster than mixed batches.

    Args:
        base: in float32.
        dtype: the precision to run blocks in.
        load: see `MultiLoRAViT`.
    """
    budget = MERGED_BUDGET if merged_is_faster(base.cast(dtype)) else 0
    return MultiLoRAViT(base, dtype, load=load, merged_budget=budget)


def merged_is_faster(
    base: Base,
    *,
    image_size: int = _IMAGE_SIZE,
    rounds: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """Time the last block for one image and a few tasks: on weights of their own, or in one mixed batch.

    A CPU runs a batch of one as efficiently as a larger one; a GPU loses by many small calls.

    Args:
        base: as it runs.
    """
    config = ViTAdapterConfig(blocks=1)
    kind, last = LoRA(), base.depth - 1
    change = kind.change(kind.trainable_blocks(base, config, torch.Generator().manual_seed(0)), config, base)
    factors = {
        (f.block, f.path): (f.a.to(base.device, base.dtype), f.b.to(base.device, base.dtype))
        for f in change.factors
    }
    own = [kind.merged_blocks(change, base, base) for _ in range(_TASKS)]
    shared = multi_lora_blocks(base)[last:]
    segments = [Segment(row, row + 1, factors) for row in range(_TASKS)]
    side = image_size // base.patch_size * base.patch_size
    seconds: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode():
        tokens = base.embed(torch.zeros(1, 3, side, side))
        batch = tokens.expand(_TASKS, -1, -1).contiguous()
        for _ in range(rounds + 1):
            started = clock()
            for blocks in own:
                base.through(blocks, tokens, last)
            _finish(base)
            between = clock()
            with routed(segments):
                base.through(shared, batch, last)
            _finish(base)
            seconds[0].append(between - started)
            seconds[1].append(clock() - between)
    merged, mixed = (statistics.median(laps[1:]) for laps in seconds)
    return merged < mixed


def _finish(base: Base) -> None:
    """Wait for what a GPU still has to do."""
    if base.device.type == "cuda":
        torch.cuda.synchronize(base.device)
