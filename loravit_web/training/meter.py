"""How much work a run is, counted instead of timed, and how much of it is done."""

from __future__ import annotations

from dataclasses import dataclass

from loravit_web.training.data import TrainingData
from loravit_web.training.progress import Reporter
from loravit_web.training.recipe import Recipe

STEP_COST = 3
"""A training step costs about three forward passes: one forward, two backward."""


@dataclass(frozen=True)
class Work:
    """A run that uses all its epochs, in images.

    Attributes:
        read: to read and shrink.
        embedded: to take through the trunk, mirrored views counted apart.
        looked_at: to take through the blocks above it without gradients.
        trained: to take through them in training steps.
    """

    read: int
    embedded: int
    looked_at: int
    trained: int

    def passes(self, first_block: int, depth: int) -> int:
        """Everything in forward passes, one of which is an image through a block."""
        adapted = max(depth - first_block, 1)
        return self.embedded * max(first_block, 1) + adapted * (self.looked_at + STEP_COST * self.trained)


def work_of(data: TrainingData, recipe: Recipe) -> Work:
    """Count the work of a run."""
    train, validation, test = len(data.train), len(data.validation), len(data.test)
    images = train + validation + test
    epochs = recipe.schedule(train)[0]
    return Work(
        read=images,
        embedded=images + (train if recipe.mirror else 0),
        looked_at=images + (epochs + 1) * validation + test,
        trained=epochs * train,
    )


class WorkMeter:
    """Adds up forward passes and reports the fraction done."""

    def __init__(self, total: float, reporter: Reporter) -> None:
        self.total, self.reporter, self.done = total, reporter, 0.0

    @property
    def fraction(self) -> float:
        """0 to 1."""
        return min(self.done / self.total, 1.0)

    def at(self, done: float, stage: str) -> None:
        """Work done since the beginning."""
        self.done = done
        self.reporter.report(stage, self.fraction)

    def add(self, units: float, stage: str) -> None:
        """Work done since the last call."""
        self.at(self.done + units, stage)
