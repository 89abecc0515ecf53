"""This project's training with its stages timed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from loravit_web.adapters import Adapter
from loravit_web.backbones import Base
from loravit_web.training.data import Split, TrainingData
from loravit_web.training.evaluation import Evaluation
from loravit_web.training.progress import Curve
from loravit_web.training.recipe import Recipe
from loravit_web.training.trainer import Trained, train

_PROBE, _NOVELTY = "Fitting the probe", "Learning what the training images look like"


@dataclass(frozen=True, eq=False)
class Timed:
    """A training and its duration.

    Attributes:
        trained: Result of the training.
        seconds: Duration in seconds without the extras.
        extra_seconds: Duration of what other programs do not compute, in seconds: the probe, and the model of
            what the training images look like.
        first_answers: Seconds from the start until there was a probe to ask.
    """

    trained: Trained
    seconds: float
    extra_seconds: float
    first_answers: float


class StageClock:
    """A `Reporter` that measures how long the extras take, and when the probe is there."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.first_answers = self.extra_seconds = 0.0
        self._extra_since: float | None = None
        self._has_epochs = False

    def report(self, stage: str, fraction: float) -> None:
        """See `Reporter`."""
        # after the epochs a probe is fitted that is a part of the trained head
        if stage != _NOVELTY and (stage != _PROBE or self._has_epochs):
            self.end_extra()
        elif self._extra_since is None:
            self._extra_since = time.perf_counter()

    def begin(self, curve: Curve) -> None:
        """See `Reporter`."""

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """See `Reporter`."""
        if epoch == 0:
            self.first_answers = time.perf_counter() - self.started
        else:
            self._has_epochs = True

    def first_answer(self, adapter: Adapter, base: Base, evaluation: Evaluation) -> None:
        """See `Reporter`."""
        self.end_extra()
        self.first_answers = time.perf_counter() - self.started

    def stop_and_keep(self) -> bool:
        """See `Reporter`."""
        self.end_extra()
        return False

    def end_extra(self) -> None:
        """Count the extra that is being computed as finished."""
        if self._extra_since is not None:
            self.extra_seconds += time.perf_counter() - self._extra_since
            self._extra_since = None


def timed_training(base: Base, dtype: torch.dtype, data: TrainingData, recipe: Recipe) -> Timed:
    """Train in a temporary folder."""
    with tempfile.TemporaryDirectory() as work:
        clock = StageClock()
        trained = train(base, dtype, data, recipe, work=Path(work), reporter=clock)
        clock.end_extra()
        seconds = time.perf_counter() - clock.started
    return Timed(trained, seconds - clock.extra_seconds, clock.extra_seconds, clock.first_answers)


def without_test(data: TrainingData) -> TrainingData:
    """Return the data without its test images."""
    return replace(data, test=Split((), torch.empty(0, dtype=torch.int64)))
