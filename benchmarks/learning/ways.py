"""Ways to learn a task: the presets, what they were before, and other programs' ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch

from benchmarks.learning.old_probe import OldProbe, base_features, fit_old_probe, neighbor_scores
from benchmarks.learning.peft_models import lora_model, timm_model
from benchmarks.learning.plain_loop import Learner, PlainResult, new_head, plain_training
from benchmarks.learning.task_data import Cell
from benchmarks.learning.task_rows import Outcome
from benchmarks.support.timed import Timed, timed_training
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.files.format import to_files
from loravit_web.backbones import Base
from loravit_web.training.data import TrainingData
from loravit_web.training.evaluation import fit_temperature
from loravit_web.training.recipe import INSTANT, PRESETS, Recipe

FULL, PEFT = "full fine-tuning", "PEFT"
BUDGET_OF = "Quick"
"""Way whose seconds are the time budget of full fine-tuning."""
_FULL_LR = 5e-5
"""Peak learning rate of all weights, a usual one."""
_FLOAT_BYTES = 4

_BEFORE = Recipe(
    adapter=ViTAdapterConfig(r=8, alpha=16.0, blocks=4, readout=()),
    weight_decay=0.01,
    label_smoothing=0.1,
    patience=3,
    clip=1.0,
    floor=False,
    average=False,
    refit=False,
)
DRAFT_BEFORE = replace(
    _BEFORE,
    preset="draft",
    image_size=70,
    epochs=5,
    min_steps=160,
    batch_size=16,
    lr=2e-3,
    max_images=800,
)
QUICK_BEFORE = replace(
    _BEFORE,
    preset="quick",
    image_size=112,
    epochs=6,
    min_steps=80,
    batch_size=32,
    lr=1e-3,
    max_images=4000,
    adapter=replace(_BEFORE.adapter, blocks=5),
)
"""The presets of version 0.2.0, written out so that they stay what they were. A setting that recipes get
later, and that is on by default, has to be off here."""
MAX_SIZE = 800
"""Maximum number of training and validation images that all ways use completely."""


@dataclass(frozen=True, eq=False)
class Setup:
    """What every way computes with.

    Attributes:
        base: Base in float32.
        dtype: Precision of what is frozen.
    """

    base: Base
    dtype: torch.dtype

    @property
    def frozen(self) -> Base:
        """The base in the precision of the run."""
        return self.base.cast(self.dtype)

    def fitted(self, recipe: Recipe, cell: Cell) -> Recipe:
        """Return a recipe for base and cell, without mirrored images where they are wrong."""
        mirror = recipe.mirror and cell.mirror
        return replace(recipe.fitted(self.base.patch_size), seed=cell.seed, mirror=mirror)


Way = Callable[[Setup, Cell, float], Outcome]
"""Learns a cell. The last argument is the time budget in seconds, for a way that needs one."""


def _preset(name: str) -> Way:
    """Return the way of a preset of today."""

    def way(setup: Setup, cell: Cell, _budget: float) -> Outcome:
        timed = timed_training(setup.base, setup.dtype, cell.data, setup.fitted(PRESETS[name].recipe, cell))
        trained = timed.trained
        is_below = trained.kept == "adapter" and trained.lead is not None and trained.lead.mean < 0
        seconds = timed.seconds + timed.extra_seconds
        return _published(setup, timed, seconds, timed.first_answers, is_below=is_below)

    return way


def _before(recipe: Recipe) -> Way:
    """Return the way of a preset of version 0.2.0: with its own probe, and without what came later."""

    def way(setup: Setup, cell: Cell, _budget: float) -> Outcome:
        fitted = setup.fitted(recipe, cell)
        timed = timed_training(setup.base, setup.dtype, cell.data, fitted)
        # its training had the features at hand, so only the fit is timed
        splits = (cell.data.train, cell.data.validation)
        features, validation = base_features(setup.frozen, splits, fitted.image_size)
        started = time.perf_counter()
        probe = _old_probe(features, validation, cell.data)
        seconds = timed.seconds + time.perf_counter() - started
        is_below = timed.trained.validation.accuracy < probe.accuracy
        without_novelty = replace(timed.trained, adapter=replace(timed.trained.adapter, novelty=None))
        return _published(setup, replace(timed, trained=without_novelty), seconds, None, is_below=is_below)

    return way


def _published(
    setup: Setup, timed: Timed, seconds: float, first_answers: float | None, *, is_below: bool
) -> Outcome:
    """Return the outcome of one of this project's trainings."""
    answers, test = timed.trained.predictions.get("test", ()), timed.trained.test
    files = to_files(timed.trained.adapter, setup.base, name="task", title="task")
    return Outcome(
        correct=torch.tensor([answer.true == answer.predicted for answer in answers]),
        scores=torch.tensor([answer.score for answer in answers]),
        seconds=seconds,
        bytes=sum(len(content) for content in files.values()),
        first_answers=first_answers,
        is_below_probe=is_below,
        map=None if test is None else test.mean_average_precision,
    )


def _probe_before(setup: Setup, cell: Cell, _budget: float) -> Outcome:
    """Learn by the linear probe of version 0.2.0, at the image size of the preset Instant."""
    started = time.perf_counter()
    train, validation, test = _instant_features(setup, cell)
    probe = _old_probe(train, validation, cell.data)
    temperature = fit_temperature(probe.logits(validation), cell.data.validation.labels)
    scores = torch.softmax(probe.logits(test) / temperature, dim=1)
    seconds = time.perf_counter() - started
    return _answered(scores, cell.data, seconds, _FLOAT_BYTES * (probe.weight.numel() + len(probe.bias)))


def _neighbors(setup: Setup, cell: Cell, _budget: float) -> Outcome:
    """Learn by keeping the features of all training images, at the image size of the preset Instant."""
    started = time.perf_counter()
    train, _validation, test = _instant_features(setup, cell)
    scores = neighbor_scores(train, cell.data.train.labels, test, len(cell.data.class_names))
    return _answered(scores, cell.data, time.perf_counter() - started, _FLOAT_BYTES * train.numel())


def _instant_features(setup: Setup, cell: Cell) -> list[torch.Tensor]:
    size = setup.fitted(PRESETS[INSTANT].recipe, cell).image_size
    return base_features(setup.frozen, (cell.data.train, cell.data.validation, cell.data.test), size)


def _old_probe(train: torch.Tensor, validation: torch.Tensor, data: TrainingData) -> OldProbe:
    classes = len(data.class_names)
    return fit_old_probe(train, data.train.labels, validation, data.validation.labels, classes)


def _peft(setup: Setup, cell: Cell, _budget: float) -> Outcome:
    """Train PEFT's LoRA on all blocks in a plain loop, with the other settings of the preset Quick."""
    base, data = setup.base, cell.data
    recipe = setup.fitted(PRESETS["quick"].recipe, cell)
    learner = Learner(
        lora_model(base, setup.dtype, recipe, base.depth), new_head(base, len(data.class_names))
    )
    return _plain(plain_training(learner, setup.dtype, data, recipe, base), data)


def _full(setup: Setup, cell: Cell, budget: float) -> Outcome:
    """Train all weights, in float32 because small steps are lost on weights of lower precision."""
    base, data = setup.base, cell.data
    recipe = setup.fitted(PRESETS["quick"].recipe, cell)
    model = timm_model(base, torch.float32, image_size=recipe.image_size).requires_grad_(True)
    autocast = None if setup.dtype is torch.float32 else setup.dtype
    learner = Learner(model, new_head(base, len(data.class_names)), _FULL_LR / recipe.lr, autocast)
    return _plain(plain_training(learner, torch.float32, data, recipe, base, budget=budget), data)


def _plain(result: PlainResult, data: TrainingData) -> Outcome:
    temperature = fit_temperature(result.validation_logits, data.validation.labels)
    scores = torch.softmax(result.test_logits / temperature, dim=1)
    return _answered(scores, data, result.seconds, _FLOAT_BYTES * result.parameters)


def _answered(scores: torch.Tensor, data: TrainingData, seconds: float, size: int) -> Outcome:
    best, predicted = scores.max(dim=1)
    return Outcome(predicted == data.test.labels, best, seconds, size)


WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "probe before": _probe_before,
        "kNN": _neighbors,
        "Instant": _preset(INSTANT),
        "Draft before": _before(DRAFT_BEFORE),
        "Draft": _preset("draft"),
        "Quick before": _before(QUICK_BEFORE),
        BUDGET_OF: _preset("quick"),
        PEFT: _peft,
        FULL: _full,
    }
)
"""The ways by name. A way and its predecessor are neighbors, so that both meet the same machine."""
SEVERAL_LABELS = ("Instant", "Draft", BUDGET_OF)
"""Ways that can learn a task whose images have several labels."""
SHORT_WAYS = tuple(name for name in WAYS if name not in (PEFT, FULL))
