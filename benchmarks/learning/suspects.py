"""Which fraction of flipped labels is among the first suspects.

The labels of 5 % of the images of a task are flipped to another class, each with the same probability. The
figure is the fraction of them among the first suspects, which are as many as a tenth of the images.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.support.homes import embedded_base
from benchmarks.support.report import Figure, at_least, save, show, spread
from loravit_web.backbones import Base
from loravit_web.datasets import DatasetStore, stratified_subset
from loravit_web.training.data import Split
from loravit_web.training.files.suspects import suspects_of
from loravit_web.training.heads.probe import candidate_readouts, fit_probe, refit_probe
from loravit_web.training.prefix import compute_prefix_tokens

FLIPPED, FIRST = 0.05, 0.1
SEEDS = 3
_TRAINED_ON = 0.8


@dataclass(frozen=True, eq=False)
class Task:
    """Images of a task: files, class indices (N,), and pooled values (N, L, P, D)."""

    paths: tuple[Path, ...]
    labels: torch.Tensor
    pooled: torch.Tensor
    classes: int


@dataclass(frozen=True)
class Found:
    """Number of listed images, and the fraction of flipped labels among the first ones and in the list."""

    listed: int
    first: float
    all: float


def run(arguments: list[str]) -> int:
    """``python -m benchmarks suspects [--cifar ZIP] [--groceries ZIP] [--images N] ... [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks suspects")
    parser.add_argument("--cifar", type=Path, help="CIFAR-10 as a zip")
    parser.add_argument("--groceries", type=Path, help="photographs of groceries as a zip")
    parser.add_argument("--images", type=int, default=600, help="training and validation together")
    parser.add_argument("--image-size", type=int, default=112)
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args(arguments)
    base = embedded_base()
    given = {"CIFAR-10": options.cifar, "groceries": options.groceries}
    sources = {name: source for name, source in given.items() if source is not None}
    sources |= {"digits": "sample:digits", "textures": "sample:textures"}
    results: dict[str, list[Found]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, source in sources.items():
            task = _task(Path(folder), source, base, options.images, options.image_size)
            results[name] = list(_found(task, base))
            print(f"{name}: {results[name]}", file=sys.stderr)
    figures = [figure for name, found in results.items() for figure in _figures(name, found)]
    means = [statistics.mean(one.first for one in found) for found in results.values()]
    figures.append(at_least("mean of the tasks", statistics.mean(means), 0.8))
    title = f"flipped labels among the first suspects, {options.images} images at {options.image_size} px"
    save(options.json, title, figures)
    return show(title, figures)


def _task(folder: Path, source: Path | str, base: Base, images: int, image_size: int) -> Task:
    dataset = DatasetStore(folder / "datasets").import_source(source)
    items = [item for item in dataset.items if item.split != "test"]
    chosen = stratified_subset([item.label for item in items], min(images, len(items)), 0)
    kept = [items[index] for index in chosen]
    paths = tuple(dataset.image_path(item) for item in kept)
    tokens = compute_prefix_tokens(
        base,
        paths,
        base.preprocessing(image_size),
        first_block=base.depth,
        mirror=False,
        scratch=folder / "scratch.tokens",
        progress=lambda _fraction: None,
        keep_tokens=False,
    )
    return Task(paths, torch.tensor([item.label for item in kept]), tokens.pooled, len(dataset.classes))


def _found(task: Task, base: Base) -> Iterator[Found]:
    """Flip labels with each seed, fit the probe as a training does, and yield what it suspects."""
    count = len(task.labels)
    for seed in range(SEEDS):
        generator = torch.Generator().manual_seed(seed)
        flipped = torch.randperm(count, generator=generator)[: round(FLIPPED * count)]
        labels = task.labels.clone()
        shift = torch.randint(1, task.classes, (len(flipped),), generator=generator)
        labels[flipped] = (labels[flipped] + shift) % task.classes
        train = torch.randperm(count, generator=generator)[: round(_TRAINED_ON * count)]
        chosen = fit_probe(
            base, task.pooled[train], labels[train], task.classes, candidate_readouts(base), seed=seed
        )
        probe = refit_probe(chosen, base, [task.pooled], labels, seed=seed)
        suspects = suspects_of(Split(task.paths, labels), probe.left_out(base, task.pooled)).found
        wrong = {(task.paths[index].stem, int(labels[index])) for index in flipped.tolist()}
        hits = [(suspect.sha256, suspect.label) in wrong for suspect in suspects]
        yield Found(len(hits), sum(hits[: round(FIRST * count)]) / len(wrong), sum(hits) / len(wrong))


def _figures(name: str, found: list[Found]) -> list[Figure]:
    first = [one.first for one in found]
    listed, share = (
        statistics.mean(values) for values in zip(*((f.listed, f.all) for f in found), strict=True)
    )
    return [
        at_least(name, statistics.mean(first), 0.8, note=spread(first)),
        Figure(f"{name}, listed", f"{listed:.0f}", note=f"{share:.2f} of the flipped labels are listed"),
    ]
