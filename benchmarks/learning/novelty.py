"""What a task doesn't know: images of other tasks, of other cameras, and its own, called unlike or not.

No adapter is trained: the model of the training images reads the frozen trunk alone. Other tasks' images
should be called unlike; a task's own test images, and right images from another source, should not. Images of
classes that were left out of the training should be called unlike or unsure; see `left_out`.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.learning import left_out
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import Figure, at_least, at_most, show
from loravit_web.adapters.novelty import Novelty
from loravit_web.adapters.readout import last_block
from loravit_web.backbones import Base, fastest_dtype
from loravit_web.datasets import DatasetStore, ImageDataset, ImageItem, stratified_split, stratified_subset
from loravit_web.images.loading import load_rgb
from loravit_web.training.novelty import MOST_ALTERED, altered_pooled, fit_novelty, novelty_readout
from loravit_web.training.prefix import compute_prefix_tokens

ZIPS = {
    "photographs": "cifar10",
    "dogs-cats": "dogs-cats",
    "tiles": "magnetic-tiles",
    "groceries": "groceries",
}
SAMPLES = ("digits", "shapes")
SAME_CONTENT = {"photographs": ("cat", "dog"), "dogs-cats": None}
"""Tasks that know each other's animals, and the classes of each that the other knows; None for all."""
LEFT_OUT = ("photographs", "groceries", "digits", "shapes")
"""Tasks with enough classes to leave some out."""
IN_CLASS = (
    "airliner",
    "container_ship",
    "golden_retriever",
    "minivan",
    "robin",
    "sorrel",
    "sports_car",
    "tabby",
    "tree_frog",
)
"""Photographs of other cameras that show a class of CIFAR-10."""


@dataclass(frozen=True, eq=False)
class Task:
    """A task's model, the pooled values and class names of its test images, and all its images."""

    novelty: Novelty
    test: torch.Tensor
    labels: Sequence[str]
    images: left_out.Images


def run(arguments: list[str]) -> int:
    """``python -m benchmarks novelty --data FOLDER [--image-size N] [--images N]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks novelty")
    parser.add_argument("--data", type=Path, required=True, help="folder of the four zips and of photos/")
    parser.add_argument("--image-size", type=int, default=112)
    parser.add_argument("--images", type=int, default=480, help="training and validation together")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    master = embedded_base()
    base = master.cast(fastest_dtype(master))
    with tempfile.TemporaryDirectory() as folder:
        store = DatasetStore(Path(folder) / "datasets")
        sources = {name: str(options.data / f"{file}.zip") for name, file in ZIPS.items()}
        sources |= {name: f"sample:{name}" for name in SAMPLES}
        tasks = {
            name: _task(store.import_source(source), base, options, Path(folder))
            for name, source in sources.items()
        }
    photographs = sorted((options.data / "photos").glob("*.jpg"))
    return show(
        f"what tasks don't know, at {options.image_size} px", _figures(tasks, base, photographs, options)
    )


def _task(dataset: ImageDataset, base: Base, options: argparse.Namespace, work: Path) -> Task:
    rest, test = dataset.select("train"), dataset.select("test")
    if not test:
        kept, held_out = stratified_split([item.label for item in rest], 0.25, options.seed)
        rest, test = _pick(rest, kept), _pick(rest, held_out)
    test = _pick(test, stratified_subset([item.label for item in test], 150, options.seed))
    rest = _pick(rest, stratified_subset([item.label for item in rest], options.images, options.seed))
    kept, held_out = stratified_split([item.label for item in rest], 0.2, options.seed)
    train, validation = _pick(rest, kept), _pick(rest, held_out)
    # no more than are altered, so that the class of each altered image is known
    validation = _pick(
        validation, stratified_subset(_labels(validation).tolist(), MOST_ALTERED // 2, options.seed)
    )
    readout = novelty_readout(base, base.depth)
    altered = altered_pooled(
        base,
        [dataset.image_path(item) for item in validation],
        base.preprocessing(options.image_size),
        stop=last_block(readout),
        seed=options.seed,
    )
    images = left_out.Images(
        train=_pooled(dataset, train, base, options, work),
        train_labels=_labels(train),
        altered=altered,
        altered_labels=_labels(validation).repeat_interleave(2),
        test=_pooled(dataset, test, base, options, work),
        test_labels=_labels(test),
        classes=len(dataset.classes),
    )
    novelty = fit_novelty(base, readout, images.train, altered)
    assert novelty is not None
    return Task(novelty, images.test, [dataset.classes[item.label] for item in test], images)


def _labels(items: Sequence[ImageItem]) -> torch.Tensor:
    return torch.tensor([item.label for item in items])


def _pick(items: Sequence[ImageItem], chosen: Iterable[int]) -> tuple[ImageItem, ...]:
    return tuple(items[index] for index in chosen)


def _pooled(
    dataset: ImageDataset, items: Sequence[ImageItem], base: Base, options: argparse.Namespace, work: Path
) -> torch.Tensor:
    images = compute_prefix_tokens(
        base,
        [dataset.image_path(item) for item in items],
        base.preprocessing(options.image_size),
        first_block=base.depth,
        mirror=False,
        keep_tokens=False,
        scratch=work / "pooled",
        progress=lambda _fraction: None,
    )
    return images.pooled


def _figures(
    tasks: dict[str, Task], base: Base, photographs: Sequence[Path], options: argparse.Namespace
) -> list[Figure]:
    def unlike(task: str, pooled: torch.Tensor) -> float:
        return 100 * float((tasks[task].novelty.ratio(base, pooled) > 1).double().mean())

    foreign, other = [], []
    for one, two in itertools.permutations(tasks, 2):
        if {one, two} == set(SAME_CONTENT):
            known = SAME_CONTENT[two]
            rows = [known is None or label in known for label in tasks[two].labels]
            other.append(unlike(one, tasks[two].test[torch.tensor(rows)]))
        else:
            foreign.append(unlike(one, tasks[two].test))
    own = [unlike(name, task.test) for name, task in tasks.items()]
    pixels = base.preprocessing(options.image_size)([load_rgb(path) for path in photographs])
    with torch.inference_mode():
        ratios = tasks["photographs"].novelty.ratio(
            base, base.trunk(base.embed(pixels), 0, base.depth).pooled
        )
    told = {path.stem: float(ratio) > 1 for path, ratio in zip(photographs, ratios, strict=True)}
    known_ones = sum(told[name] for name in IN_CLASS)
    caught = f"{sum(told.values()) - known_ones} of {len(told) - len(IN_CLASS)}"
    return [
        at_least("other tasks' images called unlike, mean", _mean(foreign), 85, " %", _worst(min(foreign))),
        at_most("a task's own test images called unlike, mean", _mean(own), 3, " %", _worst(max(own))),
        at_most("right images of another source called unlike", _mean(other), 8, " %", _worst(max(other))),
        at_most(f"photographs in class called unlike, of {len(IN_CLASS)}", known_ones, 0),
        Figure("foreign photographs called unlike", caught),
        *left_out.figures(
            {name: tasks[name].images for name in LEFT_OUT}, base, novelty_readout(base, base.depth)
        ),
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _worst(value: float) -> str:
    return f"worst {value:.1f} %"
