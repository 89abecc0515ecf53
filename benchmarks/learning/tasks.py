"""What each way to adapt is worth on five tasks: accuracy, seconds, trained numbers and size.

Accuracy is of test images, by the parameters of the epoch that is best in validation. Every way makes the
same number of steps on the same pictures, without mirrored views; a few-shot task makes as many steps as
the others on its few pictures. The head on the frozen base makes more steps, as they cost next to nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.learning.peft_models import timm_model
from benchmarks.learning.plain_loop import Learner, new_head, plain_training
from benchmarks.learning.task_data import tasks_data
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import machine
from benchmarks.support.timed import timed_training
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.files.format import to_files
from loravit_web.backbones import Base, fastest_dtype
from loravit_web.training.data import TrainingData
from loravit_web.training.recipe import Recipe

BATCH = 32
FULL = "full fine-tuning"
_LINEAR_EPOCHS = 10
_LR, _HEAD_LR, _PREFIX_LR, _FULL_LR = 1e-3, 3e-3, 1e-2, 5e-5
"""Peaks of the learning rate: of LoRA the recipe's own, since three times as much made deep or wide adapters
diverge (digits with k = 6 ended at 0.56, with r = 16 at 0.22); of heads and prefixes the best of a few in
validation on photographs and digits; of all weights a usual one."""


@dataclass(frozen=True)
class Row:
    """One task learned in one way; ``bytes`` are those of the files to keep for it."""

    task: str
    method: str
    accuracy: float
    seconds: float
    parameters: int
    bytes: int


@dataclass(frozen=True)
class Budget:
    """What is the same for every way to adapt."""

    image_size: int
    epochs: int
    images: int

    def recipe(self, adapter: ViTAdapterConfig, *, lr: float = _LR, longer: int = 1) -> Recipe:
        """All epochs are run; a task of fewer images makes as many steps as one of `images`."""
        epochs = self.epochs * longer
        return Recipe(
            preset="quick",
            adapter=adapter,
            image_size=self.image_size,
            epochs=epochs,
            min_steps=epochs * math.ceil(0.8 * self.images / BATCH),
            batch_size=BATCH,
            lr=lr,
            mirror=False,
            patience=epochs,
        )


Method = Callable[[Base, torch.dtype, TrainingData, Budget, str], tuple[float, float, int, int]]
"""Trains; gives accuracy, seconds, trained numbers and bytes."""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks tasks [--cifar ZIP] [--tiles ZIP] [--only METHOD]... [--json FILE]``."""
    options = _options(arguments)
    base = embedded_base()
    dtype: torch.dtype = getattr(torch, options.dtype) if options.dtype else fastest_dtype(base)
    budget = Budget(options.image_size, options.epochs, options.images)
    methods = {name: METHODS[name] for name in options.only or METHODS}
    with tempfile.TemporaryDirectory() as folder:
        tasks = tasks_data(
            Path(folder),
            cifar=options.cifar,
            tiles=options.tiles,
            images=options.images,
            test_images=options.test_images,
        )
        rows = _rows(tasks, methods, base, dtype, budget)
    title = (
        f"tasks at {budget.image_size} px, {budget.images} pictures, {budget.epochs} epochs of them, "
        f"{str(dtype).removeprefix('torch.')}"
    )
    _show(title, rows)
    if options.json is not None:
        document = {"title": title, "machine": machine(), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks tasks")
    parser.add_argument("--cifar", type=Path, help="CIFAR-10 as a zip: photographs and few-shot")
    parser.add_argument("--tiles", type=Path, help="magnetic tiles as a zip: defects")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--images", type=int, default=300, help="training and validation together")
    parser.add_argument("--test-images", type=int, default=150)
    parser.add_argument("--image-size", type=int, default=84)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="the faster one when not given")
    parser.add_argument("--only", action="append", choices=METHODS, help="only this; may be repeated")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    return parser.parse_args(arguments)


def _adapter(config: ViTAdapterConfig, *, lr: float = _LR, longer: int = 1) -> Method:
    """Training of this project; the linear probe that it fits beside is not in its seconds."""

    def method(
        base: Base, dtype: torch.dtype, data: TrainingData, budget: Budget, task: str
    ) -> tuple[float, float, int, int]:
        timed = timed_training(base, dtype, data, budget.recipe(config, lr=lr, longer=longer))
        adapter, test = timed.trained.adapter, timed.trained.test
        assert test is not None
        size = sum(len(content) for content in to_files(adapter, base, name=task, title=task).values())
        return test.accuracy, timed.seconds, adapter.parameter_count, size

    return method


def _full(
    base: Base, dtype: torch.dtype, data: TrainingData, budget: Budget, _task: str
) -> tuple[float, float, int, int]:
    """All weights, kept in float32, since small steps are lost on weights of lower precision."""
    model = timm_model(base, torch.float32, image_size=budget.image_size).requires_grad_(True)
    autocast = None if dtype is torch.float32 else dtype
    learner = Learner(model, new_head(base, len(data.class_names)), _FULL_LR / _LR, autocast)
    result = plain_training(learner, torch.float32, data, budget.recipe(ViTAdapterConfig(), lr=_LR), base)
    assert result.test_accuracy is not None
    return result.test_accuracy, result.seconds, result.parameters, 4 * result.parameters


METHODS: Mapping[str, Method] = {
    "LINEAR": _adapter(ViTAdapterConfig(adapter_type="LINEAR"), lr=_HEAD_LR, longer=_LINEAR_EPOCHS),
    **{f"LORA k={k} r=8": _adapter(ViTAdapterConfig(blocks=k, r=8)) for k in (2, 4, 6, 12)},
    **{f"LORA k=4 r={r}": _adapter(ViTAdapterConfig(blocks=4, r=r, alpha=2 * r)) for r in (4, 16)},
    "PREFIX k=4": _adapter(ViTAdapterConfig(adapter_type="PREFIX", blocks=4), lr=_PREFIX_LR),
    FULL: _full,
}


def _rows(
    tasks: Mapping[str, TrainingData],
    methods: Mapping[str, Method],
    base: Base,
    dtype: torch.dtype,
    budget: Budget,
) -> list[Row]:
    rows = []
    for task, data in tasks.items():
        for name, method in methods.items():
            row = Row(task, name, *method(base, dtype, data, budget, task))
            print(f"{task}, {name}: {row.accuracy:.3f} in {row.seconds:.0f} s", file=sys.stderr)
            rows.append(row)
    return rows


def _show(title: str, rows: Sequence[Row]) -> None:
    """One line by method, the accuracy of each task in a column; then what each method costs."""
    tasks, methods = list(dict.fromkeys(r.task for r in rows)), list(dict.fromkeys(r.method for r in rows))
    found = {(row.method, row.task): row for row in rows}
    width = max(len(method) for method in methods)
    print(f"\n{title}\n{machine()}")
    columns: Mapping[str, Callable[[Row], str]] = {
        "test accuracy": lambda row: f"{row.accuracy:.3f}",
        "seconds": lambda row: f"{row.seconds:.1f}",
        "trained numbers": lambda row: f"{row.parameters:,}",
        "kilobytes of files": lambda row: f"{row.bytes / 1000:.0f}",
    }
    for heading, text in columns.items():
        print(f"\n  {heading:{width + 4}}" + "".join(f"{task:>13}" for task in tasks))
        for method in methods:
            cells = "".join(f"{text(found[method, task]):>13}" for task in tasks)
            print(f"  {method:{width + 4}}{cells}")
