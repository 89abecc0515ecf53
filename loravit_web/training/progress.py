"""How a training tells what it does and learns that it should stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

Curve = Mapping[int, Mapping[str, float]]
"""What each epoch measured."""
EPOCH = "Epoch"
"""The stage of a run that learns begins with it; before, there is nothing to keep."""


class TrainingStopped(Exception):  # not a LoraVitError: the user asked for it
    """Training ends here because somebody asked for it, before there was anything worth keeping."""


class Reporter(Protocol):
    """What the training loop needs of the world outside."""

    def report(self, stage: str, fraction: float) -> None:
        """Tell the stage in words and how much of the whole run is done, 0 to 1.

        Raises:
            TrainingStopped: if the run is to be cancelled.
        """

    def begin(self, curve: Curve) -> None:
        """Training begins after the epochs of this curve; whatever was recorded of later ones is void."""

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record what an epoch measured."""

    def stop_and_keep(self) -> bool:
        """Whether the best so far is to be kept and training ended."""


class SilentReporter:
    """Reports to nobody and never stops: for tests and benchmarks."""

    def report(self, stage: str, fraction: float) -> None:
        """See `Reporter`."""

    def begin(self, curve: Curve) -> None:
        """See `Reporter`."""

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """See `Reporter`."""

    def stop_and_keep(self) -> bool:
        """See `Reporter`."""
        return False
