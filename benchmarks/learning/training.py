"""This project's training against a plain loop with PEFT, on the same images in the same order."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.learning.peft_models import import_peft, lora_model
from benchmarks.learning.plain_loop import Learner, new_head, plain_training
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import Figure, at_least, save, show, spread
from benchmarks.support.timed import timed_training, without_test
from loravit_web.backbones import Base, fastest_dtype
from loravit_web.datasets import DatasetStore
from loravit_web.training.data import TrainingData, split_data
from loravit_web.training.recipe import Recipe, preset_recipe

BLOCKS = 4

Method = Callable[[], tuple[float, float, float]]
"""Trains once; returns the seconds, the validation accuracy, and the seconds of extras, which are apart."""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks training ZIP [--epochs N] [--images N] [--rounds N] ... [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks training")
    parser.add_argument("data", help="anything that `train` takes, such as cifar10.zip")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--images", type=int, default=1000, help="training and validation together")
    parser.add_argument(
        "--rounds", type=int, default=1, help="train each so many times, each with a new seed"
    )
    parser.add_argument("--image-size", type=int, default=112)
    parser.add_argument("--validation-fraction", type=float, default=0.2)
    parser.add_argument("--skip-all-blocks", action="store_true", help="leave PEFT on all blocks out")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="the faster one when not given")
    parser.add_argument("--json", type=Path, help="also write all figures and seconds to this file")
    options = parser.parse_args(arguments)
    import_peft()
    base = embedded_base()
    dtype: torch.dtype = getattr(torch, options.dtype) if options.dtype else fastest_dtype(base)
    recipe = preset_recipe(
        "quick",
        blocks=BLOCKS,
        epochs=options.epochs,
        patience=options.epochs,
        min_steps=0,
        max_images=options.images,
        image_size=options.image_size,
        validation_fraction=options.validation_fraction,
        mirror=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        dataset = DatasetStore(Path(folder)).import_source(options.data)
        rounds = []
        for seed in range(options.rounds):
            seeded = replace(recipe, seed=seed)
            data = without_test(split_data(dataset, seeded))
            rounds.append(_methods(base, dtype, data, seeded, all_blocks=not options.skip_all_blocks))
        results = _rounds(rounds)
    figures = [
        Figure("precision of what is frozen", str(dtype).removeprefix("torch.")),
        Figure("training and validation images", f"{len(data.train)} + {len(data.validation)}"),
        *_figures(results),
    ]
    title = f"training at {recipe.image_size} px, {options.epochs} epochs, r = {recipe.adapter.r}"
    save(options.json, title, figures, results=results)
    return show(title, figures)


def _methods(
    base: Base, dtype: torch.dtype, data: TrainingData, recipe: Recipe, *, all_blocks: bool
) -> dict[str, Method]:
    def ours() -> tuple[float, float, float]:
        timed = timed_training(base, dtype, data, recipe)
        return timed.seconds, timed.trained.validation.accuracy, timed.extra_seconds

    def peft(blocks: int) -> Method:
        def method() -> tuple[float, float, float]:
            model = lora_model(base, dtype, recipe, blocks)
            learner = Learner(model, new_head(base, len(data.class_names)))
            result = plain_training(learner, dtype, data, recipe, base)
            return result.seconds, result.validation_accuracy, 0.0

        return method

    methods: dict[str, Method] = {"ours": ours, f"PEFT, {BLOCKS} blocks": peft(BLOCKS)}
    return methods | ({"PEFT, all blocks": peft(base.depth)} if all_blocks else {})


def _rounds(rounds: Sequence[dict[str, Method]]) -> dict[str, list[tuple[float, float, float]]]:
    """Results of each method by round, the method that begins changing from round to round."""
    names = list(rounds[0])
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    for lap, methods in enumerate(rounds):
        for name in names[lap % len(names) :] + names[: lap % len(names)]:
            results[name].append(methods[name]())
            seconds, accuracy, _extras = results[name][-1]
            print(f"round {lap + 1}, {name}: {seconds:.0f} s, accuracy {accuracy:.3f}", file=sys.stderr)
    return results


def _figures(results: dict[str, list[tuple[float, float, float]]]) -> list[Figure]:
    ours, *peft = results.values()
    names, figures = list(results)[1:], []
    for name, theirs, target in zip(names, peft, (1.5, 2.4), strict=False):
        ratios = [one[0] / mine[0] for one, mine in zip(theirs, ours, strict=True)]
        figures.append(at_least(f"{name} / ours", statistics.median(ratios), target, "x", spread(ratios)))
    for name, theirs in zip(names, peft, strict=True):
        lead = 100 * (_mean_accuracy(ours) - _mean_accuracy(theirs))
        what = f"points of validation accuracy above {name}"
        # only the adapter of as many blocks is the same adapter
        figures.append(at_least(what, lead, -1) if theirs is peft[0] else Figure(what, f"{lead:.3g}"))
    for name, values in results.items():
        note = spread([value[0] for value in values], " s")
        figures.append(Figure(f"{name}: seconds", f"{_median(values, 0):.1f} s", note=note))
        accuracies = ", ".join(f"{value[1]:.3f}" for value in values)
        figures.append(
            Figure(f"{name}: validation accuracy", f"{_mean_accuracy(values):.3f}", note=accuracies)
        )
    figures.append(Figure("probe and novelty of ours, not counted", f"{_median(ours, 2):.1f} s"))
    return figures


def _mean_accuracy(results: list[tuple[float, float, float]]) -> float:
    return statistics.fmean(result[1] for result in results)


def _median(results: list[tuple[float, float, float]], index: int) -> float:
    return statistics.median(result[index] for result in results)
