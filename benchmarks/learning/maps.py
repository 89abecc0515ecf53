"""How true heat maps are: what is left of a score without the hottest patches, and with these alone.

Deletion hides the hottest fifth of the patches, insertion hides all others. Both are compared with random
patches and with those in the center (Petsiuk et al. 2018, arXiv 1806.07421). A task with two classes stands
aside: a fifth of an image is seldom enough to doubt it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.learning.map_methods import BEFORE, CHOSEN, METHODS, Shown
from benchmarks.learning.task_data import TaskImages
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import Figure, at_least, at_most, save, show
from loravit_web.adapters import Adapter
from loravit_web.adapters.files.folder import read_folder
from loravit_web.backbones import Base, fastest_dtype
from loravit_web.catalog.bundled import bundles
from loravit_web.datasets import stratified_subset
from loravit_web.engine import fastest_engine
from loravit_web.engine.heatmap import blurred
from loravit_web.images.loading import load_rgb
from loravit_web.training.data import TrainingData
from loravit_web.training.progress import SilentReporter
from loravit_web.training.recipe import DRAFT, INSTANT, preset_recipe
from loravit_web.training.trainer import train

HOT = 0.2
"""Fraction of the patches that are deleted or inserted."""
RANDOM, CENTER = "random patches", "center"
BLUR, MEAN = "blur", "mean"
"""What a hidden patch shows: the blurred image, or the mean color of the image."""
DRAWS = 4
"""Random sets of patches for each image."""
_ALL = 1_000_000
_BATCH = 16
_TIMED = 9


@dataclass(frozen=True)
class Task:
    """A task to test maps on.

    Attributes:
        data: Name of the data in `TaskImages`.
        adapter: Slug of a bundled adapter, or name of the preset that is trained for the benchmark.
        without: Classes left out, because there is nothing to mark in their images.
        is_aside: Whether it does not count in the means.
    """

    data: str
    adapter: str
    without: tuple[str, ...] = ()
    is_aside: bool = False


TASKS: Mapping[str, Task] = {
    "objects": Task("CIFAR-10", "everyday-objects"),
    "digits": Task("digits", "handwritten-digits"),
    "shapes": Task("shapes", "scene-shape"),
    "tiles": Task("tiles", "magnetic-tiles", without=("free",)),
    "groceries": Task("groceries", DRAFT),
    "groceries, probe": Task("groceries", INSTANT),
    "animal or vehicle": Task("CIFAR-10", "animal-or-vehicle", is_aside=True),
    "dogs or cats": Task("dogs-cats", DRAFT, is_aside=True),
}


@dataclass(frozen=True)
class Left:
    """Shares of a score that are left.

    Attributes:
        deletion: Share without the hottest patches; low is good.
        insertion: Share with the hottest patches alone; high is good.
    """

    deletion: float
    insertion: float


def run(arguments: list[str]) -> int:
    """``python -m benchmarks maps --data FOLDER [--images N] [--task NAME]... [--method NAME]...``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks maps")
    parser.add_argument("--data", type=Path, required=True, help="folder of the zips")
    parser.add_argument(
        "--images", type=int, default=20, help="images of each task, at least a few of each class"
    )
    parser.add_argument("--train-images", type=int, default=400, help="images of a trained task")
    parser.add_argument("--task", action="append", choices=TASKS, help="only this; may be repeated")
    parser.add_argument("--method", action="append", choices=METHODS, help="only this; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="of the images, the training, the random patches")
    parser.add_argument("--fill", choices=(BLUR, MEAN), default=BLUR, help="what hidden patches show")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args(arguments)
    base = embedded_base()
    methods = list(dict.fromkeys([BEFORE, CHOSEN, *(options.method or METHODS)]))
    results: dict[str, Mapping[str, Left]] = {}
    milliseconds: dict[str, list[float]] = {name: [] for name in methods}
    answered: list[float] = []
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in options.task or TASKS:
            adapter, images = _task(TASKS[name], base, options, Path(folder))
            total += len(images)
            results[name] = _left(base, adapter, images, methods, options.seed, options.fill, milliseconds)
            print(f"{name}, {len(images)} images: {results[name]}", file=sys.stderr)
            answered = answered or _milliseconds_if_answered(base, adapter, images)
    title = f"true maps: {options.images} images a task, seed {options.seed}, hidden by {options.fill}"
    figures = [
        Figure("images", str(total)),
        *_figures(results, answered),
        *_table(results, methods, milliseconds),
    ]
    save(options.json, title, figures)
    return show(title, figures)


def _task(task: Task, base: Base, options: argparse.Namespace, folder: Path) -> tuple[Adapter, torch.Tensor]:
    """Return the adapter of a task, and prepared images (N, 3, S, S) that it was not trained on."""
    zips = {"cifar": "cifar10", "tiles": "magnetic-tiles", "groceries": "groceries", "dogs-cats": "dogs-cats"}
    sources = {name: str(options.data / f"{file}.zip") for name, file in zips.items()}
    sources |= {f"sample:{name}": f"sample:{name}" for name in ("digits", "shapes")}
    (cell,) = TaskImages(folder / "datasets", sources, _ALL).cells([task.data], [options.train_images], 1)
    adapter = _adapter(task, base, cell.data, cell.mirror, options.seed, folder)
    names, test = cell.data.class_names, cell.data.test
    kept = [row for row, label in enumerate(test.labels.tolist()) if names[label] not in task.without]
    chosen = stratified_subset([int(test.labels[row]) for row in kept], options.images, options.seed)
    return adapter, adapter.preprocessing([load_rgb(test.paths[kept[index]]) for index in chosen])


def _adapter(task: Task, base: Base, data: TrainingData, mirror: bool, seed: int, folder: Path) -> Adapter:
    if task.adapter in bundles():
        with zipfile.ZipFile(bundles()[task.adapter]) as bundle:
            bundle.extractall(folder / task.adapter)
        return read_folder(folder / task.adapter, base, image_size=0)
    recipe = preset_recipe(task.adapter, mirror=mirror, seed=seed).fitted(base.patch_size)
    work = Path(tempfile.mkdtemp(dir=folder))
    return train(base, fastest_dtype(base), data, recipe, work=work, reporter=SilentReporter()).adapter


def _left(
    base: Base,
    adapter: Adapter,
    images: torch.Tensor,
    methods: Sequence[str],
    seed: int,
    fill: str,
    milliseconds: Mapping[str, list[float]],
) -> Mapping[str, Left]:
    """Return the shares of the scores that are left, by method; times of maps are added."""
    generator = torch.Generator().manual_seed(seed)
    before, after = 0.0, dict.fromkeys([RANDOM, CENTER, *methods], torch.zeros(2))
    side = images.shape[-1] // base.patch_size
    hot = round(HOT * side**2)
    for image in torch.split(images, 1):
        hidden = blurred(image) if fill == BLUR else image.mean(dim=(2, 3), keepdim=True).expand_as(image)
        scores = _scores(base, adapter, image)[0]
        label = int(scores.argmax())
        before += float(scores[label])
        shown = Shown(base, adapter, image, label)
        values = {f"{RANDOM} {n}": torch.rand(side**2, generator=generator) for n in range(DRAWS)}
        values[CENTER] = -_from_center(side)
        for name in methods:
            started = time.perf_counter()
            values[name] = METHODS[name](shown)
            milliseconds[name].append(1000 * (time.perf_counter() - started))
        masks = torch.stack(
            [_mask(value.topk(hot).indices, side, base.patch_size) for value in values.values()]
        )
        changed = torch.cat([torch.lerp(image, hidden, masks), torch.lerp(hidden, image, masks)])
        left = torch.cat([_scores(base, adapter, part) for part in torch.split(changed, _BATCH)])[:, label]
        for name, pair in zip(values, left.view(2, -1).T, strict=True):
            draws = DRAWS if name.startswith(RANDOM) else 1
            method = RANDOM if name.startswith(RANDOM) else name
            after[method] = after[method] + pair / draws
    return {name: Left(*(total / before).tolist()) for name, total in after.items()}


@torch.inference_mode()
def _scores(base: Base, adapter: Adapter, images: torch.Tensor) -> torch.Tensor:
    """Return the probabilities (B, C) of images (B, 3, S, S)."""
    tokens, pooled = base.trunk(base.embed(images), 0, adapter.first_block)
    return adapter.scores(adapter.logits(base, adapter.blocks(base), tokens, pooled))


def _from_center(side: int) -> torch.Tensor:
    """Return the squared distance of each patch from the center, (side * side,)."""
    places = (torch.arange(side) - (side - 1) / 2) ** 2
    return (places[:, None] + places[None]).flatten()


def _mask(patches: torch.Tensor, side: int, size: int) -> torch.Tensor:
    """Return the mask (1, S, S) of some patches."""
    mask = torch.zeros(side * side)
    mask[patches] = 1
    return mask.view(1, side, side).repeat_interleave(size, dim=1).repeat_interleave(size, dim=2)


def _milliseconds_if_answered(base: Base, adapter: Adapter, images: torch.Tensor) -> list[float]:
    """Return the times of maps on images that the engine has answered, in milliseconds."""
    engine = fastest_engine(base, fastest_dtype(base))
    engine.add("task", adapter)
    times = []
    for image in torch.split(images[: _TIMED + 1], 1):
        (logits,) = engine.forward(image, [["task"]])
        started = time.perf_counter()
        engine.heatmap("task", image, int(logits["task"].argmax()))
        times.append(1000 * (time.perf_counter() - started))
    return times[1:] or times


def _mean(results: Mapping[str, Mapping[str, Left]], method: str) -> Left:
    """Return the means of a method over the tasks that count, or over all if none does."""
    counted = [name for name in results if not TASKS[name].is_aside] or list(results)
    left = [results[name][method] for name in counted]
    return Left(statistics.mean(one.deletion for one in left), statistics.mean(one.insertion for one in left))


def _figures(results: Mapping[str, Mapping[str, Left]], answered: Sequence[float]) -> list[Figure]:
    chosen, before, random, center = (
        _mean(results, name).deletion for name in (CHOSEN, BEFORE, RANDOM, CENTER)
    )
    return [
        at_least("score lost by deletion, beyond random patches", random - chosen, 0.25),
        at_least("score lost by deletion, beyond the center", center - chosen, 0.18),
        Figure("the former by the method before", f"{random - before:.3f}"),
        at_most("a map on an image already answered", statistics.median(answered), 350, " ms"),
    ]


def _table(
    results: Mapping[str, Mapping[str, Left]], methods: Sequence[str], times: Mapping[str, list[float]]
) -> list[Figure]:
    rows = []
    for name in (RANDOM, CENTER, *methods):
        mean = _mean(results, name)
        tasks = ", ".join(f"{task} {left[name].deletion:.2f}" for task, left in results.items())
        took = f", {statistics.median(times[name]):.0f} ms with the trunk" if name in times else ""
        rows.append(
            Figure(
                f"left by {name}",
                f"{mean.deletion:.3f}",
                note=f"insertion {mean.insertion:.3f}{took}; deletion by task: {tasks}",
            )
        )
    return rows
