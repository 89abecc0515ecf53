"""How a training reports its progress and learns that it should stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the shell reads what this module defines, without torch
    from loravit_web.adapters.adapter import Adapter
    from loravit_web.backbones.base import Base
    from loravit_web.training.evaluation import Evaluation

Curve = Mapping[int, Mapping[str, float]]
"""Metrics of each epoch."""
EPOCH = "Epoch"
"""First word of the stage during the epochs; before them there is nothing to keep."""


class TrainingStopped(Exception):  # not a LoraVitError, because a user requested it
    """A user stopped the training before there was anything to keep."""


class Reporter(Protocol):
    """Interface of the training loop to its surroundings."""

    def report(self, stage: str, fraction: float) -> None:
        """Report the current stage and the completed fraction of the run.

        Args:
            stage: Stage in words.
            fraction: Completed fraction, 0 to 1.

        Raises:
            TrainingStopped: If the run was cancelled.
        """

    def begin(self, curve: Curve) -> None:
        """Start after the epochs of a curve; metrics that were recorded for later epochs are void."""

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record the metrics of an epoch."""

    def first_answer(self, adapter: Adapter, base: Base, evaluation: Evaluation) -> None:
        """Receive the probe, which can answer while the adapter is trained.

        Called once before the first epoch, and again if the training is resumed.

        Args:
            adapter: Probe as an adapter.
            base: Base in float32 that it runs on.
            evaluation: Evaluation of the calibrated probe on the validation split.
        """

    def stop_and_keep(self) -> bool:
        """Return whether to end the training and keep the best epoch so far."""


class SilentReporter:
    """A reporter without output that never stops the training, for tests and benchmarks."""

    def report(self, stage: str, fraction: float) -> None:
        """Ignore the progress."""

    def begin(self, curve: Curve) -> None:
        """Ignore the start."""

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Ignore the metrics."""

    def first_answer(self, adapter: Adapter, base: Base, evaluation: Evaluation) -> None:
        """Ignore the probe."""

    def stop_and_keep(self) -> bool:
        """Return False."""
        return False
