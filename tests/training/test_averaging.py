"""The mean of parameters over steps, and the training that keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open

from loravit_web.backbones import Base
from loravit_web.training.averaging import ParameterMean
from loravit_web.training.checkpoints import Checkpoint, load_checkpoint
from loravit_web.training.data import TrainingData
from loravit_web.training.progress import SilentReporter
from loravit_web.training.recipe import Recipe
from loravit_web.training.trainer import train
from tests.training.conftest import quick

EVERY = [torch.randn(3, 2, generator=torch.Generator().manual_seed(step)) for step in range(5)]


def test_the_mean_is_that_of_all_steps() -> None:
    mean = ParameterMean()
    for values in EVERY:
        mean.add([values, values[0]])
    assert mean.count == len(EVERY)
    torch.testing.assert_close(mean.values[0], torch.stack(EVERY).mean(dim=0))
    torch.testing.assert_close(mean.values[1], torch.stack(EVERY).mean(dim=0)[0])


def test_the_first_values_are_copied() -> None:
    parameter = torch.zeros(2)
    mean = ParameterMean()
    mean.add([parameter])
    parameter += 1
    assert not mean.values[0].any()


def test_a_mean_goes_on_from_its_values_and_count() -> None:
    whole, first = ParameterMean(), ParameterMean()
    for values in EVERY:
        whole.add([values])
    for values in EVERY[:2]:
        first.add([values])
    second = ParameterMean(first.values, first.count)
    for values in EVERY[2:]:
        second.add([values])
    assert torch.equal(second.values[0], whole.values[0])


def checkpoint_of(base: Base, data: TrainingData, recipe: Recipe, work: Path) -> Checkpoint:
    """Train, and return the checkpoint of the last epoch."""
    train(base, torch.float32, data, recipe, work=work, reporter=SilentReporter())
    path = work / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        identity = json.loads(file.metadata()["checkpoint"])["identity"]
    checkpoint = load_checkpoint(path, identity=identity)
    assert checkpoint is not None
    return checkpoint


def test_a_training_keeps_the_mean_over_the_second_half_of_its_steps(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    checkpoint = checkpoint_of(base, data, quick(epochs=2), tmp_path)
    assert (checkpoint.state.epoch, checkpoint.state.best_epoch, checkpoint.state.averaged) == (2, 2, 3)
    for best, mean, last in zip(checkpoint.best, checkpoint.mean, checkpoint.parameters, strict=True):
        assert torch.equal(best, mean)
        assert not torch.equal(mean, last)


def test_a_training_without_average_keeps_the_parameters_of_its_best_epoch(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    checkpoint = checkpoint_of(base, data, quick(epochs=2, average=False), tmp_path)
    assert (checkpoint.state.best_epoch, checkpoint.state.averaged, len(checkpoint.mean)) == (2, 0, 0)
    for best, last in zip(checkpoint.best, checkpoint.parameters, strict=True):
        assert torch.equal(best, last)
