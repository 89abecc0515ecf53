"""This project's training with its stages timed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from loravit_web.backbones import Base
from loravit_web.training.data import Split, TrainingData
from loravit_web.training.progress import Curve
from loravit_web.training.recipe import Recipe
from loravit_web.training.trainer import Trained, train

_FITTING = "Fitting the probe"


@dataclass(frozen=True, eq=False)
class Timed:
    """A training and its duration.

    Attributes:
        trained: Result of the training.
        seconds: Duration in seconds without the probe, which no other program fits.
        probe_seconds: Duration of fitting the probe in seconds.
        first_answers: Seconds from the start until there was a probe to ask.
    """

    trained: Trained
    seconds: float
    probe_seconds: float
    first_answers: float


class StageClock:
    """A `Reporter` that measures how long the probe takes, and when it is there."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.first_answers = self.probe_seconds = 0.0
        self._fitting_since: float | None = None
        self._is_fitted = False

    def report(self, stage: str, fraction: float) -> None:
        """See `Reporter`."""
        if stage != _FITTING:
            self.end_probe()
        elif self._fitting_since is None:
            self._fitting_since = time.perf_counter()

    def begin(self, curve: Curve) -> None:
        """See `Reporter`."""

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """See `Reporter`."""
        if epoch == 0:
            self.first_answers = time.perf_counter() - self.started

    def stop_and_keep(self) -> bool:
        """See `Reporter`."""
        self.end_probe()
        return False

    def end_probe(self) -> None:
        """Stop counting. The second part of a head, which is fitted later, is not counted."""
        if self._fitting_since is not None and not self._is_fitted:
            self.probe_seconds = time.perf_counter() - self._fitting_since
            self._is_fitted = True


def timed_training(base: Base, dtype: torch.dtype, data: TrainingData, recipe: Recipe) -> Timed:
    """Train in a temporary folder."""
    with tempfile.TemporaryDirectory() as work:
        clock = StageClock()
        trained = train(base, dtype, data, recipe, work=Path(work), reporter=clock)
        clock.end_probe()
        seconds = time.perf_counter() - clock.started
    return Timed(trained, seconds - clock.probe_seconds, clock.probe_seconds, clock.first_answers)


def without_test(data: TrainingData) -> TrainingData:
    """Return the data without its test images."""
    return replace(data, test=Split((), torch.empty(0, dtype=torch.int64)))
