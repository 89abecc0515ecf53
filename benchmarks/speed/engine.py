"""Many tasks at once: this engine, PEFT and the bare timm forward, in one process, round by round.

All three compute with the same weights, precision and adapters. In each round every work is done once,
in random order; a figure is the median over rounds of a ratio inside one round, so that a machine that
is slower for a while slows both sides. Images are new each time: the engine knows again what it saw.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.learning.peft_models import import_peft, peft_model, timm_model
from benchmarks.speed.residents import RESIDENTS, choosing_seconds, memory_of_residents, microseconds
from benchmarks.support.adapters import random_adapter
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import Figure, at_least, at_most, save, show, spread
from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.backbones import Base, fastest_dtype
from loravit_web.engine import ComputeMode, MultiLoRAViT, fastest_mode
from loravit_web.engine.trunk import TokenCache, Trunk
from loravit_web.util.lru import LRU

IMAGE_SIZE = 224
TASKS = tuple(f"task-{index}" for index in range(8))
BATCH = 32
WARM_UP = 2
TOLERANCE = 1e-4

Work = Callable[[], Callable[[], object]]
"""Prepares one round and gives what is to be timed."""
Seconds = Mapping[str, list[float]]


def run(arguments: list[str]) -> int:
    """``python -m benchmarks engine [--rounds N] [--dtype NAME] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="also write all figures and seconds to this file")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="the faster one when not given")
    options = parser.parse_args(arguments)
    import_peft()
    base = embedded_base()
    dtype: torch.dtype = getattr(torch, options.dtype) if options.dtype else fastest_dtype(base)
    mode = fastest_mode(base, dtype)
    adapters = {blocks: _adapters(base, blocks) for blocks in (4, 12)}
    differences = {blocks: _difference(base, mode, adapters[blocks]) for blocks in adapters}
    seconds = _timed(_works(base, dtype, mode, adapters), options.rounds)
    memory = memory_of_residents(dtype)
    choosing = {n: choosing_seconds(base, dtype, n, rounds=max(options.rounds, 5)) for n in (1, 1000)}
    figures = [
        Figure("precision", str(dtype).removeprefix("torch.")),
        Figure("way, as the app chooses it", str(mode)),
        *(
            at_most(f"logits against PEFT's in float32, last {blocks} blocks", value, TOLERANCE)
            for blocks, value in differences.items()
        ),
        *_speed_figures(seconds),
        *_resident_figures(memory, choosing),
        *(
            Figure(name, f"{1000 * statistics.median(values):.1f} ms", note=_milliseconds(values))
            for name, values in seconds.items()
        ),
    ]
    title = f"engine at {IMAGE_SIZE} px, r = 8 on qkv, proj, fc1, fc2, {options.rounds} rounds"
    choosing_json = {str(n): values for n, values in choosing.items()}
    save(options.json, title, figures, seconds=seconds, memory=memory, choosing_seconds=choosing_json)
    return show(title, figures)


def _adapters(base: Base, blocks: int) -> dict[str, Adapter]:
    config = ViTAdapterConfig(r=8, blocks=blocks)
    return {
        task: random_adapter(base, config, seed, image_size=IMAGE_SIZE) for seed, task in enumerate(TASKS)
    }


def _engine(
    base: Base, dtype: torch.dtype, mode: ComputeMode, adapters: Mapping[str, Adapter]
) -> MultiLoRAViT:
    engine = mode.engine(base, dtype)
    for name, adapter in adapters.items():
        engine.add(name, adapter)
    return engine


def _peft(base: Base, dtype: torch.dtype, adapters: Mapping[str, Adapter]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return peft_model(base, dtype, adapters, Path(folder))


def _difference(base: Base, mode: ComputeMode, adapters: Mapping[str, Adapter]) -> float:
    """The largest difference to PEFT's logits in float32, against the largest logit; ends the program
    when it is so large that the two do not compute the same.
    """
    model, engine = _peft(base, torch.float32, adapters), _engine(base, torch.float32, mode, adapters)
    image = _images(1, torch.Generator().manual_seed(1))
    (answer,) = engine.forward(image, [list(TASKS)])
    ours = torch.stack([answer[task] for task in TASKS])
    mixed, in_turn = _mixed(model, image), _in_turn(model, image)
    largest = max(1.0, float(ours.abs().max()))
    difference = max(float((theirs - ours).abs().max()) / largest for theirs in (mixed, in_turn))
    if difference > TOLERANCE:
        sys.exit(f"error: logits differ from PEFT's by {difference:.1e}: there is nothing to compare.")
    return difference


def _works(
    base: Base, dtype: torch.dtype, mode: ComputeMode, adapters: Mapping[int, Mapping[str, Adapter]]
) -> dict[str, Work]:
    """All that is timed, by its name in the table."""
    plain = timm_model(base, dtype, image_size=IMAGE_SIZE, classes=10)
    generator = torch.Generator().manual_seed(0)

    def timm(count: int) -> Work:
        return lambda: _bound(_plain, plain, _images(count, generator).to(dtype))

    works: dict[str, Work] = {f"timm, {count} images": timm(count) for count in (1, len(TASKS), BATCH)}
    for blocks, held in adapters.items():
        engine, model = _engine(base, dtype, mode, held), _peft(base, dtype, held)
        works |= _works_of(engine, model, blocks, lambda count: _images(count, generator), dtype)
    return works


def _works_of(
    engine: MultiLoRAViT, model: Any, blocks: int, images: Callable[[int], torch.Tensor], dtype: torch.dtype
) -> dict[str, Work]:
    tasks = list(TASKS)
    mixed = [tasks[row % len(tasks)] for row in range(BATCH)]

    def seen(asked: list[str]) -> Work:
        def prepared() -> Callable[[], object]:
            image = images(1)
            engine.forward(image, [tasks[:1]])
            return _bound(engine.forward, image, [asked])

        return prepared

    def trunk() -> Callable[[], object]:
        first = engine.adapter(tasks[0]).first_block
        return _bound(_trunk_alone, engine, images(1), first)

    def name(work: str, who: str) -> str:
        return f"{work}, k = {blocks}, {who}"

    works = {
        name("8 tasks", "ours"): lambda: _bound(engine.forward, images(1), [tasks]),
        name("8 tasks", "ours, trunk alone"): trunk,
        name("8 tasks", "ours, branches alone"): seen(tasks),
        name("8 tasks", "PEFT mixed"): lambda: _bound(_mixed, model, images(1).to(dtype)),
        name("8 tasks", "PEFT in turn"): lambda: _bound(_in_turn, model, images(1).to(dtype)),
    }
    if blocks < engine.base.depth:
        return {**works, name("task of a seen image", "ours"): seen(tasks[1:2])}
    return {
        **works,
        name("32 images", "ours"): lambda: _bound(engine.forward, images(BATCH), [[task] for task in mixed]),
        name("32 images", "PEFT mixed"): lambda: _bound(_batch, model, images(BATCH).to(dtype), mixed),
    }


def _images(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(count, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)


def _bound(function: Callable[..., object], *arguments: Any) -> Callable[[], object]:
    return lambda: function(*arguments)


@torch.inference_mode()
def _trunk_alone(engine: MultiLoRAViT, images: torch.Tensor, depth: int) -> object:
    """What the branches of new images start from."""
    cache: TokenCache = LRU(0, lambda output: output.nbytes)
    return Trunk(engine.base, images, cache, engine.lanes).at(depth, range(len(images)))


@torch.inference_mode()
def _plain(model: Any, images: torch.Tensor) -> Any:
    return model(images)


@torch.inference_mode()
def _batch(model: Any, images: torch.Tensor, tasks: list[str]) -> Any:
    """PEFT's batch of several adapters: logits by image."""
    return model(images, adapter_names=tasks)


def _mixed(model: Any, image: torch.Tensor) -> Any:
    """One image for all tasks in one batch of PEFT: logits by task."""
    return _batch(model, image.expand(len(TASKS), -1, -1, -1), list(TASKS))


@torch.inference_mode()
def _in_turn(model: Any, image: torch.Tensor) -> Any:
    """One image for one task after the other, PEFT's adapter changed between: logits by task."""
    logits = []
    for task in TASKS:
        model.set_adapter(task)
        logits.append(model(image)[0])
    return torch.stack(logits)


def _timed(works: Mapping[str, Work], rounds: int) -> dict[str, list[float]]:
    """Seconds of each work by round; the order within a round is random, the first rounds do not count."""
    order, shuffle = list(works), random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for lap in range(rounds + WARM_UP):
        print(f"round {lap + 1} of {rounds + WARM_UP}", file=sys.stderr)
        shuffle.shuffle(order)
        for name in order:
            timed = works[name]()
            started = time.perf_counter()
            timed()
            if lap >= WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def _speed_figures(seconds: Seconds) -> list[Figure]:
    eight = [value * 40 / 96 for value in seconds["timm, 8 images"]]
    return [
        _below("8 tasks, k = 4: / 40/96 of 8 images", seconds["8 tasks, k = 4, ours"], eight, 1.08),
        _faster("8 tasks, k = 4: PEFT mixed / ours", seconds, "8 tasks, k = 4", "PEFT mixed", 2.0),
        _faster("8 tasks, k = 4: PEFT in turn / ours", seconds, "8 tasks, k = 4", "PEFT in turn"),
        _below(
            "8 tasks, k = 12: / 8 images", seconds["8 tasks, k = 12, ours"], seconds["timm, 8 images"], 1.05
        ),
        _faster("8 tasks, k = 12: PEFT mixed / ours", seconds, "8 tasks, k = 12", "PEFT mixed", 1.2),
        _faster("8 tasks, k = 12: PEFT in turn / ours", seconds, "8 tasks, k = 12", "PEFT in turn"),
        _below(
            "task of a seen image, k = 4: / 1 image",
            seconds["task of a seen image, k = 4, ours"],
            seconds["timm, 1 images"],
            0.42,
        ),
        _below(
            "32 images over 8 tasks, k = 12: / 32 images",
            seconds["32 images, k = 12, ours"],
            seconds["timm, 32 images"],
            1.05,
        ),
        _faster(
            "32 images over 8 tasks, k = 12: PEFT mixed / ours", seconds, "32 images, k = 12", "PEFT mixed"
        ),
    ]


def _below(name: str, ours: list[float], other: list[float], target: float) -> Figure:
    ratios = [a / b for a, b in zip(ours, other, strict=True)]
    return at_most(name, statistics.median(ratios), target, "x", spread(ratios))


def _faster(name: str, seconds: Seconds, work: str, other: str, target: float | None = None) -> Figure:
    ratios = [b / a for a, b in zip(seconds[f"{work}, ours"], seconds[f"{work}, {other}"], strict=True)]
    median, note = statistics.median(ratios), spread(ratios)
    if target is None:
        return Figure(name, f"{median:.3g}x", note=note)
    return at_least(name, median, target, "x", note)


def _resident_figures(memory: Mapping[str, int | None], choosing: Mapping[int, list[float]]) -> list[Figure]:
    adapters = memory["adapters"]
    assert adapters is not None
    figures = []
    for key, name in (("held", "tensors"), ("grown", "growth of the process")):
        found = memory[key]
        if found is not None:
            note = f"{found / 1e6:.0f} for {adapters / 1e6:.0f} MB of adapters"
            name = f"{RESIDENTS} resident adapters, k = 4: {name}"
            figures.append(at_most(name, found / adapters, 1.1, "x", note))
    after = memory["answered"]
    if after is not None:
        name = "the same, each once asked, copies for speed included"
        figures.append(Figure(name, f"{after / adapters:.3g}x", note=f"{after / 1e6:.0f} MB"))
    one, many = microseconds(choosing[1]), microseconds(choosing[1000])
    note = spread([1e6 * value for value in choosing[1000]], " us")
    figures.append(at_most("choosing among 1000 adapters", many, 50, " us", note))
    figures.append(at_most("choosing among 1000 / of one", many / one, 2, "x"))
    return figures


def _milliseconds(seconds: list[float]) -> str:
    return spread([1000 * value for value in seconds], " ms")
