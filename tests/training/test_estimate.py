"""The estimate is the sum of measured steps."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from loravit_web.adapters import AdapterConfigError, ViTAdapterConfig
from loravit_web.backbones import Base
from loravit_web.backbones.base import UnsupportedImageSize
from loravit_web.training.data import TrainingData
from loravit_web.training.estimate import (
    LIBRARIES,
    START_SECONDS,
    Pace,
    estimate,
    measure_pace,
    reading_seconds,
)
from loravit_web.training.trainer import train
from tests.training.conftest import Recorder, quick

FREE = Pace(embed=0.0, forward=0.0, evaluated=0.0, trained=0.0, saved=0.0, blocks=2, parameters=10)


def test_each_step_is_counted_as_often_as_the_run_does_it(base: Base, data: TrainingData) -> None:
    # 18 training images in two views, 6 for validation, 8 for testing; one trunk block, two adapted, four
    # epochs. The head is fitted once more on the 18.
    recipe = quick(mirror=True)
    seconds = {
        name: estimate(data, recipe, base, replace(FREE, **{name: 1.0}), 0.0).seconds - START_SECONDS
        for name in ("embed", "forward", "evaluated", "trained")
    }
    embedded = 2 * 18 + 6 + 8
    evaluated = (18 + 6 + 8) + 4 * 6 + 6 + 8 + 18
    assert seconds == {
        "embed": embedded,
        "forward": embedded,
        "evaluated": evaluated,
        "trained": 4 * 18,
    }


def test_reading_is_only_counted_if_it_takes_longer_than_computing(base: Base, data: TrainingData) -> None:
    assert estimate(data, quick(), base, FREE, 2.0).seconds == START_SECONDS + 2.0 * (18 + 6 + 8)
    slow = estimate(data, quick(), base, replace(FREE, embed=10.0), 2.0).seconds
    assert 10.0 * 50 < slow < 10.0 * 50 + 2.0 * 32 + START_SECONDS + 1


def test_memory_grows_with_the_batch_and_has_a_minimum(base: Base, data: TrainingData) -> None:
    pace = replace(FREE, saved=1e9)
    small, large = (estimate(data, quick(batch_size=n), base, pace, 0.0).memory for n in (1, 8))
    assert large - small == 7 * 1_000_000_000
    assert estimate(data, quick(), base, FREE, 0.0).memory > LIBRARIES


def test_parameters_and_epochs_are_those_of_the_run(base: Base, data: TrainingData, tmp_path: Path) -> None:
    for config in (ViTAdapterConfig(r=4, blocks=2), ViTAdapterConfig(adapter_type="LINEAR", pooling="mean")):
        recipe = quick(adapter=config, epochs=2)
        said = estimate(data, recipe, base, measure_pace(base, recipe), 0.0)
        work = tmp_path / config.adapter_type
        trained = train(base, torch.float32, data, recipe, work=work, reporter=Recorder())
        assert said.parameters == trained.adapter.parameter_count
        assert (said.epochs, said.train_images) == (trained.epochs, 18)


def test_the_pace_comes_from_the_clock_and_the_tensors_that_autograd_saves(base: Base) -> None:
    ticks = itertools.count()
    pace = measure_pace(base, quick(batch_size=4), clock=lambda: float(next(ticks)))
    assert pace.blocks == 2
    assert (pace.embed, pace.forward, pace.evaluated, pace.trained) == (0.25, 0.25, 0.5, 0.5)
    tokens = base.token_count(32) * base.embed_dim * 4
    assert 5 * tokens < pace.saved < 60 * tokens
    linear = measure_pace(base, quick(adapter=ViTAdapterConfig(adapter_type="LINEAR")))
    assert (linear.blocks, linear.parameters) == (0, 0)
    assert linear.saved < pace.saved


def test_the_last_block_is_measured_in_its_fast_form_and_saves_less(base: Base) -> None:
    pace = measure_pace(base, quick(batch_size=4))
    whole = measure_pace(replace(base, supports_first_token_block=False), quick(batch_size=4))
    hidden = base.token_count(32) * base.embed_dim * 4
    assert pace.saved < whole.saved - 5 * hidden


def test_reading_is_timed_on_some_images_of_the_data(base: Base, data: TrainingData) -> None:
    ticks = itertools.count()
    assert reading_seconds(data, quick(), base, clock=lambda: float(next(ticks))) == 1.0
    assert next(ticks) <= 2 * 9


def test_a_recipe_that_does_not_fit_the_base_is_rejected(base: Base) -> None:
    with pytest.raises(UnsupportedImageSize):
        measure_pace(base, quick(image_size=33))
    with pytest.raises(AdapterConfigError, match="The base has 3 blocks, so 7 cannot be adapted"):
        measure_pace(base, quick(adapter=ViTAdapterConfig(blocks=7)))
