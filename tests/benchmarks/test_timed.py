"""The clock of a benchmark counts what other programs do not compute apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.support import timed
from benchmarks.support.timed import StageClock
from loravit_web.backbones import Base
from loravit_web.datasets import DatasetStore
from loravit_web.training.data import split_data
from loravit_web.training.trainer import train
from tests.conftest import ColourFolders
from tests.training.conftest import Recorder, quick


def test_stages_of_the_probe_and_of_novelty_are_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(100))
    monkeypatch.setattr(timed.time, "perf_counter", lambda: float(next(seconds)))
    clock = StageClock()
    clock.report("Reading 3 train images", 0.0)
    clock.report(timed._PROBE, 0.1)  # from 1
    clock.metrics(0, {})  # at 2
    clock.report(timed._PROBE, 0.1)
    clock.stop_and_keep()  # to 3
    clock.metrics(1, {})
    clock.report(timed._PROBE, 0.9)  # a part of the trained head
    clock.report(timed._NOVELTY, 1.0)  # from 4
    clock.end_extra()  # to 5
    assert clock.first_answers == 2
    assert clock.extra_seconds == (3 - 1) + (5 - 4)


def test_a_training_reports_the_stages_that_the_clock_knows(
    base: Base, tmp_path: Path, colour_folders: ColourFolders
) -> None:
    dataset = DatasetStore(tmp_path / "datasets", workers=1).import_source(colour_folders(test=2))
    recipe, recorder = quick(epochs=1), Recorder()
    train(base, torch.float32, split_data(dataset, recipe), recipe, work=tmp_path, reporter=recorder)
    assert {timed._PROBE, timed._NOVELTY} <= set(recorder.stages)
