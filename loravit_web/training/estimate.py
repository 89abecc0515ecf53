"""Estimate of a run's duration and memory on this machine, measured on a few images before it starts."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.backbones.base import Base
from loravit_web.images.loading import load_stored
from loravit_web.training.blocks import (
    adapter_dropout,
    blocks_to_read,
    trainable_blocks,
    trained_parameters,
)
from loravit_web.training.data import TrainingData
from loravit_web.training.heads.probe import MOST_FITTED, candidate_readouts, trunk_readout
from loravit_web.training.loop import EVALUATION_BATCH
from loravit_web.training.meter import work_of
from loravit_web.training.prefix import RAM_LIMIT
from loravit_web.training.recipe import Recipe
from loravit_web.util.text import duration

LIBRARIES = 700 << 20
"""Resident memory of a worker before it loads a base, in bytes; measured."""

START_SECONDS = 8.0
"""Time in seconds to load the base, fit the probe and write the files; measured."""

_MOST_TOKENS, _MOST_OF_ONE = 4096, 1400
"""Maximum number of tokens in the timed batch, and in one image of it.

More take longer without a better estimate.
"""
_LAPS = 3
_SECONDS = 0.5
_SLOW = 1.0
"""A first call that takes longer than this, in seconds, is not repeated."""
_IMAGES = 8


@dataclass(frozen=True)
class Estimate:
    """Cost of a run that uses all of its epochs.

    Attributes:
        seconds: Duration in seconds after the worker has started.
        memory: Maximum memory of the worker in bytes.
        parameters: Number of trained parameters, including the head.
        train_images: Number of training images, after a subset was taken.
        validation_images: Number of validation images.
        epochs: Maximum number of epochs.
    """

    seconds: float
    memory: int
    parameters: int
    train_images: int
    validation_images: int
    epochs: int


@dataclass(frozen=True)
class Pace:
    """Cost of the steps of a run on this machine.

    Attributes:
        embed: Seconds to embed an image.
        forward: Seconds to run an image through a block of the trunk.
        evaluated: Seconds to run an image through all adapted blocks without gradients.
        trained: Seconds to run an image through all adapted blocks in a training step.
        saved: Bytes per image that the adapted blocks keep for the backward pass.
        blocks: Number of adapted blocks.
        parameters: Number of trained parameters in the adapted blocks.
    """

    embed: float
    forward: float
    evaluated: float
    trained: float
    saved: float
    blocks: int
    parameters: int


def estimate(data: TrainingData, recipe: Recipe, base: Base, pace: Pace, reading: float) -> Estimate:
    """Return the cost of a run.

    Args:
        data: Splits of the run.
        recipe: Recipe of the run.
        base: Base in the precision of the training.
        pace: Measured cost of each step.
        reading: Seconds to read and resize an image.
    """
    first_block = base.depth - pace.blocks
    work = work_of(data, recipe)
    trunk = work.embedded * (pace.embed + first_block * pace.forward)
    # One thread reads the next batch while all threads compute.
    read = work.read * reading
    trunk = max(read, trunk + read / (os.cpu_count() or 1))
    classes = len(data.class_names)
    return Estimate(
        seconds=START_SECONDS + trunk + work.evaluated * pace.evaluated + work.trained * pace.trained,
        memory=_memory(data, recipe, base, pace),
        parameters=pace.parameters + classes * (_head_width(base, recipe, first_block) + 1),
        train_images=len(data.train),
        validation_images=len(data.validation),
        epochs=recipe.schedule(len(data.train))[0],
    )


def _head_width(base: Base, recipe: Recipe, first_block: int) -> int:
    """Return the number of features of the head, at most; a probe chooses among its readouts."""
    readout = recipe.adapter.readout
    if readout is None and recipe.is_trained:
        readout = trunk_readout(base, first_block)
    elif readout is None:
        readout = max(candidate_readouts(base), key=len)
    return base.feature_dim(recipe.adapter.pooling) + len(readout) * base.embed_dim


def _memory(data: TrainingData, recipe: Recipe, base: Base, pace: Pace) -> int:
    token = base.token_count(recipe.image_size) * base.embed_dim * base.dtype.itemsize
    views = 2 if recipe.mirror else 1
    splits = (views * len(data.train), len(data.validation), len(data.test))
    tokens = sum(count * token for count in splits if count * token <= RAM_LIMIT)
    parts = base.depth * len(base.parts) * base.embed_dim * torch.float32.itemsize
    tokens += sum(
        len(split) * parts
        for split in (data.train, data.validation, data.test)
        if len(split) * parts <= RAM_LIMIT
    )
    images = min(len(data.train) + len(data.validation), MOST_FITTED)
    closed_form = images * parts * 3  # read in float32, and standardized in float64
    weights = sum(p.numel() for p in base.model.parameters()) * (4 + base.dtype.itemsize)
    step = recipe.batch_size * pace.saved
    # Peak of an evaluation: the MLP's hidden layer before and after its activation, and the tokens.
    evaluation = EVALUATION_BATCH * token * 12
    return int(LIBRARIES + weights + tokens + max(step, evaluation, closed_form))


def measure_pace(
    base: Base,
    recipe: Recipe,
    *,
    clock: Callable[[], float] = time.perf_counter,
    check: Callable[[], None] = lambda: None,
) -> Pace:
    """Time a small batch through the embedding, a trunk block, an adapted block and the last block.

    It takes a few seconds on a laptop for every recipe: images of more than `_MOST_OF_ONE` tokens are timed
    at a smaller size, and the results are scaled by the number of operations of a block.

    Args:
        base: Base in the precision of the training.
        recipe: Recipe of the run.
        clock: Returns the time in seconds.
        check: Called between the steps; an error that it raises ends the measurement.

    Raises:
        LoraVitError: If the recipe does not fit the base.
    """
    base.preprocessing(recipe.image_size)
    side = _timed_side(base, recipe.image_size)
    size = min(recipe.batch_size, max(1, _MOST_TOKENS // base.token_count(side)))
    images = torch.zeros(size, 3, side, side, device=base.device)
    generator = torch.Generator().manual_seed(0)
    adapted = trainable_blocks(base, recipe.adapter, generator)

    def seconds(action: Callable[[], object]) -> float:
        return _seconds(action, clock, check)

    with torch.inference_mode():
        embedding = seconds(lambda: base.embed(images))
        embedded = base.embed(images)
        forward = seconds(lambda: base.advance(embedded, base.depth - 1, base.depth))
    tokens = embedded.clone().requires_grad_(bool(adapted))  # every adapted block but the first
    others = max(len(adapted) - 1, 0)
    last = _measured(
        base, recipe, blocks_to_read(base, recipe.adapter.pooling, adapted[-1:]), tokens, seconds
    )
    other = _measured(base, recipe, adapted[-1:], tokens, seconds) if others else last
    evaluated, trained, saved = (a + others * b for a, b in zip(last, other, strict=True))
    patches, work, kept = _scale(base, side, recipe.image_size)
    return Pace(
        embed=patches * embedding / size,
        forward=work * forward / size,
        evaluated=work * evaluated / size,
        trained=work * trained / size,
        saved=kept * saved / size,
        blocks=len(adapted),
        parameters=sum(p.numel() for block in adapted for p in block.parameters() if p.requires_grad),
    )


def _timed_side(base: Base, image_size: int) -> int:
    """Return the side of the timed images: the requested one, or a smaller one if the base supports it."""
    if base.token_count(image_size) <= _MOST_OF_ONE or not base.takes_any_size:
        return image_size
    return int(base.patch_size * math.isqrt(_MOST_OF_ONE - base.prefix_token_count))


def _scale(base: Base, timed: int, wanted: int) -> tuple[float, float, float]:
    """Return the ratios of patches, operations of a block and bytes for the backward pass of two image sizes.

    For N tokens of width D, the projections of a block take 24 N D^2 operations and its attention 4 N^2 D.
    The bytes grow with N, and with N^2 if the attention is not fused.
    """
    if timed == wanted:
        return 1.0, 1.0, 1.0
    before, after = base.token_count(timed), base.token_count(wanted)
    ratio, width = after / before, base.embed_dim
    work = ratio * (6 * width + after) / (6 * width + before)
    fused = base.dtype is not torch.bfloat16 or base.device.type != "cpu"
    return (wanted / timed) ** 2, work, ratio if fused else ratio**2


def _measured(
    base: Base,
    recipe: Recipe,
    blocks: Sequence[nn.Module],
    tokens: torch.Tensor,
    seconds: Callable[[Callable[[], object]], float],
) -> tuple[float, float, float]:
    """Return the seconds of an evaluation and of a training step with the blocks, and the step's bytes."""
    head = nn.Linear(base.feature_dim(recipe.adapter.pooling), 2).to(base.device)
    labels = torch.zeros(len(tokens), dtype=torch.int64, device=base.device)

    def compute() -> torch.Tensor:
        last = base.depth - 1
        result: torch.Tensor = head(
            base.features(base.run_blocks(blocks, tokens, last), recipe.adapter.pooling)
        )
        return result

    def step() -> None:
        F.cross_entropy(compute(), labels).backward()  # type: ignore[no-untyped-call]

    with torch.inference_mode():
        evaluation = seconds(compute)
    with adapter_dropout(blocks):
        saved = _saved_bytes(step, [*base.model.parameters(), *trained_parameters(blocks, head), tokens])
        return evaluation, seconds(step), saved


def reading_seconds(
    data: TrainingData,
    recipe: Recipe,
    base: Base,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the mean time in seconds to read and resize an image, measured on some of the training images.

    Args:
        data: Splits of the run.
        recipe: Recipe of the run.
        base: Base of the run.
        clock: Returns the time in seconds.

    Raises:
        ImageError: If an image can no longer be read.
    """
    paths: Sequence[Path] = data.train.paths[:: max(1, len(data.train) // _IMAGES)][:_IMAGES]
    preprocessing = base.preprocessing(recipe.image_size)
    times = []
    for path in paths:
        started = clock()
        preprocessing([load_stored(path)])
        times.append(clock() - started)
    return statistics.mean(times)


def _seconds(action: Callable[[], object], clock: Callable[[], float], check: Callable[[], None]) -> float:
    """Return the median time of a call without the first one, or the time of the first if it was slow."""
    check()
    started = clock()
    action()
    first = clock() - started
    if first > _SLOW:
        return first
    times: list[float] = []
    while len(times) < _LAPS or (sum(times) < _SECONDS and len(times) < 10 * _LAPS):
        check()
        started = clock()
        action()
        times.append(clock() - started)
    return statistics.median(times)


def _saved_bytes(step: Callable[[], None], excluded: Sequence[torch.Tensor]) -> int:
    """Return the bytes of the tensors that a step saves for its backward pass, without ``excluded``."""
    known = {tensor.untyped_storage().data_ptr() for tensor in excluded}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(kept.values())


def cost_text(cost: Estimate) -> str:
    """Return a sentence about the cost of a training."""
    return (
        f"Up to {duration(cost.seconds)} and {cost.memory / 1e9:.1f} GB of memory on this machine: "
        f"{cost.epochs} epochs on {cost.train_images:,} training images, {cost.validation_images:,} "
        f"validation images and {cost.parameters:,} trained parameters."
    )
