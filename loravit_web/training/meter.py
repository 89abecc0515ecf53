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
    """A run that uses all its epochs; a pass is one image through one block.

    Attributes:
        images: pictures to read.
        embedded: pictures to embed, mirrored views counted apart.
        forward: passes without gradients.
        trained: passes of training steps.
    """

    images: int
    embedded: int
    forward: int
    trained: int

    @property
    def total(self) -> int:
        """Everything in forward passes."""
        return self.forward + STEP_COST * self.trained


def work_of(data: TrainingData, recipe: Recipe, first_block: int, depth: int) -> Work:
    """Count the work of a run."""
    train, validation, test = len(data.train), len(data.validation), len(data.test)
    images = train + validation + test
    embedded = images + (train if recipe.mirror else 0)
    adapted = max(depth - first_block, 1)
    epochs = recipe.schedule(train)[0]
    looked_at = images + (epochs + 1) * validation + test
    return Work(
        images=images,
        embedded=embedded,
        forward=embedded * max(first_block, 1) + looked_at * adapted,
        trained=epochs * train * adapted,
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
