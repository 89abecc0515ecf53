"""What a run will take on this machine, measured on a few images before it starts."""

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
from loravit_web.training.blocks import dropout_on, trainable_blocks, trained_parameters
from loravit_web.training.data import TrainingData
from loravit_web.training.meter import work_of
from loravit_web.training.prefix import RAM_LIMIT
from loravit_web.training.recipe import Recipe
from loravit_web.training.trainer import EVALUATION_BATCH
from loravit_web.util.text import duration

LIBRARIES = 700 << 20
"""Resident memory of a worker before it loads a base, measured."""

START_SECONDS = 8.0
"""To load the base, fit the linear probe and write the files, measured."""

_MOST_TOKENS, _MOST_OF_ONE = 4096, 1400
"""Tokens of the batch that is timed, and of one image in it: more take longer and tell no more."""
_LAPS = 3
_SECONDS = 0.5
_SLOW = 1.0
"""Seconds of a first call that is not repeated."""
_PICTURES = 8


@dataclass(frozen=True)
class Estimate:
    """What a run that uses all its epochs takes.

    Attributes:
        seconds: once the worker has started.
        memory: bytes that the worker needs at most.
        parameters: trained numbers, head included.
        train_images: that are trained on, after any subset was taken.
        validation_images: that choose the best epoch.
        epochs: at most.
    """

    seconds: float
    memory: int
    parameters: int
    train_images: int
    validation_images: int
    epochs: int


@dataclass(frozen=True)
class Pace:
    """Seconds and bytes of the pieces that a run is made of, on this machine.

    Attributes:
        embed: seconds to embed an image.
        forward: seconds of an image through a block of the trunk.
        looked_at: seconds of an image through all adapted blocks without gradients.
        trained: seconds of an image through them in a training step.
        saved: bytes that they keep per image for the backward pass.
        blocks: how many are adapted.
        parameters: trained numbers in all of them.
    """

    embed: float
    forward: float
    looked_at: float
    trained: float
    saved: float
    blocks: int
    parameters: int


def estimate(data: TrainingData, recipe: Recipe, base: Base, pace: Pace, reading: float) -> Estimate:
    """Put the pieces of a run together.

    Args:
        base: as it runs.
        reading: seconds to read and shrink an image.
    """
    first_block = base.depth - pace.blocks
    work = work_of(data, recipe)
    trunk = work.embedded * (pace.embed + first_block * pace.forward)
    # One thread reads ahead while all of them compute.
    read = work.read * reading
    trunk = max(read, trunk + read / (os.cpu_count() or 1))
    classes = len(data.class_names)
    return Estimate(
        seconds=START_SECONDS + trunk + work.looked_at * pace.looked_at + work.trained * pace.trained,
        memory=_memory(data, recipe, base, pace),
        parameters=pace.parameters + classes * (base.feature_dim(recipe.adapter.pooling) + 1),
        train_images=len(data.train),
        validation_images=len(data.validation),
        epochs=recipe.schedule(len(data.train))[0],
    )


def _memory(data: TrainingData, recipe: Recipe, base: Base, pace: Pace) -> int:
    token = base.token_count(recipe.image_size) * base.embed_dim * base.dtype.itemsize
    views = 2 if recipe.mirror else 1
    splits = (views * len(data.train), len(data.validation), len(data.test))
    tokens = sum(count * token for count in splits if count * token <= RAM_LIMIT)
    weights = sum(p.numel() for p in base.model.parameters()) * (4 + base.dtype.itemsize)
    step = recipe.batch_size * pace.saved
    # The widest moment of an evaluation: the hidden layer before and after its activation, and the tokens.
    looking = EVALUATION_BATCH * token * 12
    return int(LIBRARIES + weights + tokens + max(step, looking))


def measure_pace(
    base: Base,
    recipe: Recipe,
    *,
    clock: Callable[[], float] = time.perf_counter,
    check: Callable[[], None] = lambda: None,
) -> Pace:
    """Time a small batch through the embedding, a block of the trunk, an adapted block and the last one.

    A few seconds on a laptop, whatever the recipe: images of more than `_MOST_OF_ONE` tokens are timed at a
    smaller size, and what was measured is scaled by the operations of a block.

    Args:
        base: as it runs.
        check: called between the pieces; what it raises ends the measurement.

    Raises:
        LoraVitError: if the recipe does not fit the base.
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
    last = _measured(base, recipe, base.read_by([recipe.adapter.pooling], adapted[-1:]), tokens, seconds)
    other = _measured(base, recipe, adapted[-1:], tokens, seconds) if others else last
    looked_at, trained, saved = (a + others * b for a, b in zip(last, other, strict=True))
    patches, work, kept = _scale(base, side, recipe.image_size)
    return Pace(
        embed=patches * embedding / size,
        forward=work * forward / size,
        looked_at=work * looked_at / size,
        trained=work * trained / size,
        saved=kept * saved / size,
        blocks=len(adapted),
        parameters=sum(p.numel() for block in adapted for p in block.parameters() if p.requires_grad),
    )


def _timed_side(base: Base, image_size: int) -> int:
    """The side of the images that are timed: as asked for, or smaller where the base takes others."""
    if base.token_count(image_size) <= _MOST_OF_ONE or not base.takes_any_size:
        return image_size
    return int(base.patch_size * math.isqrt(_MOST_OF_ONE - base.prefix_token_count))


def _scale(base: Base, timed: int, wanted: int) -> tuple[float, float, float]:
    """How much more patches, operations of a block and bytes for its backward pass an image of a side has.

    Of N tokens of width D, a block's projections take 24 N D^2 operations and its attention 4 N^2 D. What is
    kept grows with N, and with N^2 where the attention is not fused.
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
    """Seconds of a look and of a training step with these blocks and a head, and the bytes that one keeps."""
    head = nn.Linear(base.feature_dim(recipe.adapter.pooling), 2).to(base.device)
    labels = torch.zeros(len(tokens), dtype=torch.int64, device=base.device)

    def answered() -> torch.Tensor:
        last = base.depth - 1
        result: torch.Tensor = head(base.features(base.through(blocks, tokens, last), recipe.adapter.pooling))
        return result

    def step() -> None:
        F.cross_entropy(answered(), labels).backward()  # type: ignore[no-untyped-call]

    with torch.inference_mode():
        looking = seconds(answered)
    with dropout_on(blocks):
        saved = _saved_bytes(step, [*base.model.parameters(), *trained_parameters(blocks, head), tokens])
        return looking, seconds(step), saved


def reading_seconds(
    data: TrainingData,
    recipe: Recipe,
    base: Base,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Mean seconds to read and shrink an image, tried on a few spread over the training images.

    Raises:
        ImageError: if one can't be read any more.
    """
    paths: Sequence[Path] = data.train.paths[:: max(1, len(data.train) // _PICTURES)][:_PICTURES]
    preprocessing = base.preprocessing(recipe.image_size)
    times = []
    for path in paths:
        started = clock()
        preprocessing([load_stored(path)])
        times.append(clock() - started)
    return statistics.mean(times)


def _seconds(action: Callable[[], object], clock: Callable[[], float], check: Callable[[], None]) -> float:
    """Median time of a call, the first apart unless it was slow."""
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


def _saved_bytes(step: Callable[[], None], apart: Sequence[torch.Tensor]) -> int:
    """Bytes of the tensors that a step keeps for its backward pass, those that exist anyway apart."""
    known = {tensor.untyped_storage().data_ptr() for tensor in apart}
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
    """What a training will take, in one sentence."""
    return (
        f"Up to {duration(cost.seconds)} and {cost.memory / 1e9:.1f} GB of memory on this machine: "
        f"{cost.epochs} epochs over {cost.train_images:,} images, beside {cost.validation_images:,} that "
        f"judge them; {cost.parameters:,} trained parameters beside the frozen base."
    )
