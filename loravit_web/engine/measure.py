"""Choice of the fastest way to compute on this machine, measured at start because machines differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.lora import LoRA
from loravit_web.backbones import Base, NothingRemembered, Remembers
from loravit_web.backbones.forms import InferenceForm, layouts
from loravit_web.backbones.plain_block import Layout
from loravit_web.backbones.structure import shallow_copy
from loravit_web.engine.compiled import OpenVino
from loravit_web.engine.lanes import Lanes, shared_lanes
from loravit_web.engine.multilora import MERGED_BUDGET, MultiLoRAViT
from loravit_web.engine.residency import LoadAdapter
from loravit_web.util.cores import on_all_cores

_IMAGE_SIZE = 224
_ROUNDS = 4
_SECONDS = 0.8
_LAYOUT_SIZE, _LAYOUT_BLOCKS, _LAYOUT_ROUNDS = 112, 4, 5
_LAYOUT_GAIN = 0.9
"""A layout is chosen if it takes less than this fraction of the time of the weights as loaded."""
_REACH = 1.3
"""A mode that takes this many times as long as the fastest one is not measured further."""


@dataclass(frozen=True)
class ComputeMode:
    """A way to compute the branches of adapters.

    Attributes:
        merged: Whether frequently used adapters run on merged weights; otherwise all run in mixed batches.
        lanes: Lanes to compute in, or None to compute in the calling thread.
        layout: Layout of the weights.
    """

    merged: bool
    lanes: Lanes | None
    layout: Layout = "loaded"

    def __str__(self) -> str:
        words = ["merged weights" if self.merged else "mixed batches"]
        words += [f"{self.lanes.count} lanes"] if self.lanes is not None else []
        words += [self.layout] if self.layout != "loaded" else []
        return ", ".join(words)

    def engine(
        self,
        base: Base,
        dtype: torch.dtype,
        *,
        load: LoadAdapter | None = None,
        openvino: OpenVino | None = None,
    ) -> MultiLoRAViT:
        """Return an engine that computes in this mode; see `MultiLoRAViT`."""
        return MultiLoRAViT(
            base,
            dtype,
            load=load,
            merged_budget=MERGED_BUDGET if self.merged else 0,
            lanes=self.lanes,
            layout=self.layout,
            openvino=openvino,
        )


def fastest_engine(
    base: Base,
    dtype: torch.dtype,
    *,
    load: LoadAdapter | None = None,
    remembers: Remembers | None = None,
    openvino: OpenVino | None = None,
) -> MultiLoRAViT:
    """Return an engine in the mode that is measured to be the fastest, now or at an earlier start.

    Args:
        base: Base in float32.
        dtype: Precision of the blocks.
        load: Loads an adapter by its key; see `MultiLoRAViT`.
        remembers: Keeps the measurements of this machine; None to measure.
        openvino: How OpenVINO computes few images, or None for PyTorch alone.
    """
    mode = on_all_cores(lambda: remembered_mode(base, dtype, remembers or NothingRemembered()))
    return mode.engine(base, dtype, load=load, openvino=openvino)


def remembered_mode(base: Base, dtype: torch.dtype, remembers: Remembers) -> ComputeMode:
    """Return the mode that was measured to be the fastest; see `fastest_engine`."""
    name, short = str(dtype).removeprefix("torch."), _first_blocks(base, _LAYOUT_BLOCKS).cast(dtype)
    known = {str(layout): layout for layout in layouts(short)}
    layout = known[
        remembers.choose(
            f"layout for {name}", base, known, lambda: fastest_layout(short, tuple(known.values()))
        )
    ]
    modes = {str(mode): mode for mode in _modes(base, layout)}
    what = f"engine for {name}" if layout == "loaded" else f"engine for {name}, {layout}"
    return modes[remembers.choose(what, base, modes, lambda: str(fastest_mode(base, dtype, layout)))]


def fastest_layout(
    base: Base, candidates: Sequence[Layout], *, clock: Callable[[], float] = time.perf_counter
) -> Layout:
    """Time an image through the blocks of a base in each layout, and return the fastest.

    Args:
        base: Base in the precision that runs; it should have few blocks.
        candidates: Layouts to choose from, ``loaded`` among them.
        clock: Returns the time in seconds.
    """
    if len(candidates) == 1:
        return candidates[0]
    bases = {layout: InferenceForm(base, layout).base for layout in candidates}
    side = _LAYOUT_SIZE // base.patch_size * base.patch_size if base.takes_any_size else base.trial_size
    seconds: dict[Layout, list[float]] = {layout: [] for layout in candidates}
    with torch.inference_mode():
        tokens = base.embed(torch.zeros(1, 3, side, side))
        for lap in range(_LAYOUT_ROUNDS + 1):
            for layout, form in bases.items():
                started = clock()
                form.advance(tokens, 0, form.depth)
                if lap > 0:
                    seconds[layout].append(clock() - started)
    fastest = min(candidates, key=lambda layout: min(seconds[layout]))
    return fastest if min(seconds[fastest]) < _LAYOUT_GAIN * min(seconds["loaded"]) else "loaded"


def _modes(base: Base, layout: Layout) -> list[ComputeMode]:
    """Return the modes in which the calling thread can compute."""
    lanes = dict.fromkeys((None, shared_lanes(base.device)))
    return [ComputeMode(merged, used, layout) for used in lanes for merged in (True, False)]


def fastest_mode(
    base: Base,
    dtype: torch.dtype,
    layout: Layout = "loaded",
    *,
    image_size: int = _IMAGE_SIZE,
    clock: Callable[[], float] = time.perf_counter,
) -> ComputeMode:
    """Time one image with several tasks on a single block of the base, in each mode, and return the fastest.

    On a CPU the result depends on the number of cores, their caches and the precision. A GPU loses time to
    many small calls. Large bases are timed fewer times.

    Args:
        base: Base in float32.
        dtype: Precision of the blocks.
        layout: Layout of the weights.
        image_size: Maximum side of the timed image in pixels.
        clock: Returns the time in seconds.
    """
    lanes = shared_lanes(base.device)
    modes = _modes(base, layout)
    side = image_size // base.patch_size * base.patch_size
    short = _first_blocks(base, 1)
    tasks = {str(task): replace(_adapter(short, side)) for task in range(2 * (lanes.count if lanes else 2))}
    engines = {mode: mode.engine(short, dtype) for mode in modes}
    for engine in engines.values():
        for key, adapter in tasks.items():
            engine.add(key, adapter)
    image = torch.zeros(1, 3, side, side)
    seconds: dict[ComputeMode, list[float]] = {mode: [] for mode in modes}
    begun = clock()
    for lap in range(_ROUNDS + 1):
        for mode in modes:
            started = clock()
            engines[mode].forward(image, [list(tasks)])
            engines[mode].base.synchronize()
            if lap > 0:
                seconds[mode].append(clock() - started)
        if lap > 0:
            modes = _in_reach({mode: min(seconds[mode]) for mode in modes})
            if len(modes) == 1 or clock() - begun > _SECONDS:
                break
    return min(modes, key=lambda mode: min(seconds[mode]))  # others only ever slow a lap down


def _in_reach(seconds: Mapping[ComputeMode, float]) -> list[ComputeMode]:
    """Return the modes that another lap may still show to be the fastest."""
    return [mode for mode, taken in seconds.items() if taken <= _REACH * min(seconds.values())]


def _first_blocks(base: Base, count: int) -> Base:
    """Return a base of the first blocks only; the weights are shared."""
    model: Any = shallow_copy(base.model)
    model.blocks = base.model.blocks[:count]
    return base.with_model(model)


def _adapter(base: Base, image_size: int) -> Adapter:
    """Return an adapter that costs as much as a trained one with one block."""
    config = ViTAdapterConfig(blocks=1, pooling="mean")  # the mean reads every token of the block
    kind = LoRA()
    blocks = kind.trainable_blocks(base, config, torch.Generator().manual_seed(0))
    return Adapter(
        config=config,
        base_name=base.name,
        base_sha256=base.weights_sha256,
        preprocessing=base.preprocessing(image_size),
        class_names=("one", "other"),
        change=kind.change(blocks, config, base),
        head_weight=torch.zeros(2, config.head_width(base)),
        head_bias=torch.zeros(2),
        temperature=1.0,
        reference_logits=torch.zeros(2),
    )
