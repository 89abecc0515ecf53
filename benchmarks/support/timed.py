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


@dataclass(frozen=True, eq=False)
class Timed:
    """A training and its seconds; the linear probe, which no other program fits, is counted apart."""

    trained: Trained
    seconds: float
    probe_seconds: float


class StageClock:
    """A `Reporter` that knows when the linear probe began and ended."""

    def __init__(self) -> None:
        self.read = self.probed = time.perf_counter()

    def report(self, stage: str, fraction: float) -> None:
        """See `Reporter`."""
        if stage.startswith("Reading"):
            self.read = time.perf_counter()

    def begin(self, curve: Curve) -> None:
        """See `Reporter`."""

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """See `Reporter`."""
        if epoch == 0:
            self.probed = time.perf_counter()

    def first_answer(self, adapter: Adapter, base: Base, evaluation: Evaluation) -> None:
        """See `Reporter`."""

    def stop_and_keep(self) -> bool:
        """See `Reporter`."""
        return False


def timed_training(base: Base, dtype: torch.dtype, data: TrainingData, recipe: Recipe) -> Timed:
    """Train in a temporary folder."""
    clock = StageClock()
    with tempfile.TemporaryDirectory() as work:
        started = time.perf_counter()
        trained = train(base, dtype, data, recipe, work=Path(work), reporter=clock)
        seconds = time.perf_counter() - started
    probe = clock.probed - clock.read
    return Timed(trained, seconds - probe, probe)


def without_test(data: TrainingData) -> TrainingData:
    """The same without its test images."""
    return replace(data, test=Split((), torch.empty(0, dtype=torch.int64)))
