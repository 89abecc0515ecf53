"""A training on another device than the CPU mixes no tensors of both, and hardly waits for the device."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from loravit_web.training import loop, trainer
from loravit_web.training.data import TrainingData
from loravit_web.training.loop import TrainingLoop
from tests.conftest import tiny_base
from tests.second_device import SECOND, SecondDevice
from tests.training.conftest import Recorder, quick


def test_a_training_runs_on_another_device(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adamw = torch.optim.AdamW
    # the fused optimizer knows no device without values
    monkeypatch.setattr(
        torch.optim, "AdamW", lambda groups, lr, fused: adamw(groups, lr=lr, capturable=False)
    )
    monkeypatch.setattr(adamw, "step", lambda self: None)
    monkeypatch.setattr(TrainingLoop, "_checkpoint", lambda *_: None)
    monkeypatch.setattr(loop, "save_checkpoint", lambda *_args, **_named: None)
    base, recipe, recorder = tiny_base().cast(torch.float32, SECOND), quick(), Recorder()
    with SecondDevice() as device:
        trained = trainer.train(base, torch.float32, data, recipe, work=tmp_path, reporter=recorder)
    steps = recipe.epochs * math.ceil(len(data.train) / recipe.batch_size)
    assert trained.epochs == recipe.epochs
    assert device.waits == math.ceil(steps / loop._CHECKED_STEPS) + recipe.epochs
    assert {tensor.device.type for tensor in trained.adapter.tensors} == {"cpu"}


def test_a_batch_that_needs_too_much_memory_is_computed_in_parts(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = TrainingLoop._features

    def limited(training: TrainingLoop, tokens: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled() and len(tokens) > 2:
            raise torch.OutOfMemoryError
        return features(training, tokens)

    recipe, whole, parts = quick(), Recorder(), Recorder()
    trainer.train(tiny_base(), torch.float32, data, recipe, work=tmp_path / "whole", reporter=whole)
    monkeypatch.setattr(TrainingLoop, "_features", limited)
    trained = trainer.train(tiny_base(), torch.float32, data, recipe, work=tmp_path / "parts", reporter=parts)
    assert trained.epochs == recipe.epochs
    told = [stage for stage in parts.stages if stage.startswith("Out of memory")]
    assert told == [f"Out of memory: computing each batch in {number} parts" for number in (2, 4)]
    losses = [recorder.measured[1]["train_loss"] for recorder in (whole, parts)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_a_single_image_that_needs_too_much_memory_fails(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_training: TrainingLoop, _tokens: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(TrainingLoop, "_features", full)
    with pytest.raises(torch.OutOfMemoryError):
        trainer.train(tiny_base(), torch.float32, data, quick(), work=tmp_path, reporter=Recorder())
