"""How far 40 confirmed images bring a task that has 20 labeled and 200 unlabeled ones.

The person is simulated: each image that the app shows gets its true class. The app shows 20 images, the task
is trained again (*Instant*: the probe), and it shows 20 more. The figure is the accuracy on test images
that took no part, beside that of a task with all 220 labels, and beside 40 images in random order.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.learning.task_data import TASKS, ZIPS, TaskImages
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import Figure, at_most, save, show
from loravit_web.backbones import Base
from loravit_web.datasets import stratified_subset
from loravit_web.datasets.pool.useful import most_useful
from loravit_web.training.data import TrainingData
from loravit_web.training.files.reliability import UNSURE, confidence
from loravit_web.training.heads.probe import Probe, candidate_readouts, fit_probe, refit_probe
from loravit_web.training.prefix import compute_prefix_tokens

LABELED, UNLABELED = 20, 200
SHOWN, ROUNDS = 20, 2
MOST_BEHIND = 5.0
"""Percentage points by which the task may stay behind one with all labels."""
NAMES = ("dogs-cats", "digits", "textures", "tiles", "shapes")
_TRAINED_ON = 0.8


@dataclass(frozen=True, eq=False)
class Task:
    """Images of a task.

    Attributes:
        pooled: Pooled values (N, L, P, D) of the images that can be labeled.
        labels: Their classes (N,).
        test: Pooled values (M, L, P, D) of the test images.
        test_labels: Their classes (M,).
        classes: Number of classes.
    """

    pooled: torch.Tensor
    labels: torch.Tensor
    test: torch.Tensor
    test_labels: torch.Tensor
    classes: int


@dataclass(frozen=True)
class Reached:
    """Accuracies on the test images: with the first labels, all, and 40 more in two orders."""

    first: float
    every: float
    shown: float
    random: float


Order = Callable[[Probe, torch.Tensor], list[int]]
"""Returns positions among unlabeled images, best first, from a probe and their pooled values."""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks pool --data FOLDER [--tasks NAME ...] [--seeds N] ... [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks pool")
    parser.add_argument(
        "--data", type=Path, help="folder with the zips; without it, tasks without a zip alone"
    )
    parser.add_argument("--tasks", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test-images", type=int, default=400)
    parser.add_argument("--image-size", type=int, default=112)
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args(arguments)
    base = embedded_base()
    sources = {key: str(options.data / name) for key, name in ZIPS.items()} if options.data else {}
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.tasks:
            source = TASKS[name].source
            if source in ZIPS and source not in sources:
                continue
            images = TaskImages(Path(folder), {source: sources.get(source, source)}, options.test_images)
            cells = list(images.cells([name], [LABELED + UNLABELED], options.seeds))
            read = _reader(Path(folder), base, options.image_size)
            test = read(cells[0].data.test.paths)  # the same for all seeds
            reached = [_reached(_task(cell.data, read, test), base, cell.seed) for cell in cells]
            print(f"{name}: {reached}", file=sys.stderr)
            figures += _figures(name, reached)
    title = f"{LABELED} labeled and {UNLABELED} unlabeled images, {ROUNDS} x {SHOWN} confirmed"
    save(options.json, title, figures)
    return show(title, figures)


def _reader(folder: Path, base: Base, image_size: int) -> Callable[[tuple[Path, ...]], torch.Tensor]:
    """Return a function that computes the pooled values (N, L, P, D) of images."""

    def read(paths: tuple[Path, ...]) -> torch.Tensor:
        return compute_prefix_tokens(
            base,
            paths,
            base.preprocessing(image_size),
            first_block=base.depth,
            mirror=False,
            scratch=folder / "scratch.tokens",
            progress=lambda _fraction: None,
            keep_tokens=False,
        ).pooled

    return read


def _task(data: TrainingData, read: Callable[[tuple[Path, ...]], torch.Tensor], test: torch.Tensor) -> Task:
    fitted = data.fitted
    return Task(read(fitted.paths), fitted.labels, test, data.test.labels, len(data.class_names))


def _reached(task: Task, base: Base, seed: int) -> Reached:
    first = [int(index) for index in stratified_subset(task.labels.tolist(), LABELED, seed)]
    generator = torch.Generator().manual_seed(seed)

    def random(_probe: Probe, unlabeled: torch.Tensor) -> list[int]:
        return list(torch.randperm(len(unlabeled), generator=generator).tolist())

    def useful(probe: Probe, unlabeled: torch.Tensor) -> list[int]:
        return most_useful(_doubts(probe, base, unlabeled), _features(unlabeled))

    return Reached(
        first=_accuracy(task, base, first, seed),
        every=_accuracy(task, base, list(range(len(task.labels))), seed),
        shown=_accuracy(task, base, _confirmed(task, base, first, useful, seed), seed),
        random=_accuracy(task, base, _confirmed(task, base, first, random, seed), seed),
    )


def _confirmed(task: Task, base: Base, first: list[int], order: Order, seed: int) -> list[int]:
    """Return the images with a label after all rounds."""
    labeled = list(first)
    for _ in range(ROUNDS):
        probe = _probe(task, base, labeled, seed)
        left = [index for index in range(len(task.labels)) if index not in set(labeled)]
        chosen = order(probe, task.pooled[left])[:SHOWN]
        labeled += [left[position] for position in chosen]
    return labeled


def _probe(task: Task, base: Base, labeled: list[int], seed: int) -> Probe:
    """Fit the probe as the preset *Instant* does: the readout on a part, the head on all."""
    pooled, labels = task.pooled[labeled], task.labels[labeled]
    generator = torch.Generator().manual_seed(seed)
    train = torch.randperm(len(labels), generator=generator)[: round(_TRAINED_ON * len(labels))]
    chosen = fit_probe(base, pooled[train], labels[train], task.classes, candidate_readouts(base), seed=seed)
    return refit_probe(chosen, base, [pooled], labels, seed=seed)


def _accuracy(task: Task, base: Base, labeled: list[int], seed: int) -> float:
    logits = _probe(task, base, labeled, seed).logits(base, task.test)
    return float((logits.argmax(dim=1) == task.test_labels).float().mean())


def _doubts(probe: Probe, base: Base, pooled: torch.Tensor) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the doubt of each answer as the app has it for a version that cannot tell what is unlike."""
    best = probe.logits(base, pooled).softmax(dim=1).topk(2, dim=1).values.tolist()
    return np.array(
        [(1 - confidence(*scores)) / (1 - UNSURE) + (confidence(*scores) < UNSURE) for scores in best]
    )


def _features(pooled: torch.Tensor) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return pooled[:, -1].flatten(1).double().numpy()


def _figures(name: str, reached: list[Reached]) -> list[Figure]:
    mean = {
        part: 100 * statistics.mean(getattr(one, part) for one in reached)
        for part in ("first", "every", "shown", "random")
    }
    note = (
        f"{mean['first']:.1f} % with {LABELED} labels, {mean['shown']:.1f} % after the confirmations "
        f"({mean['random']:.1f} % in random order), {mean['every']:.1f} % with all labels"
    )
    return [at_most(f"{name}, points behind", mean["every"] - mean["shown"], MOST_BEHIND, note=note)]
