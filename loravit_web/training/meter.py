"""Amount of work of a run, counted instead of timed, and the fraction that is done."""

from __future__ import annotations

from dataclasses import dataclass

from loravit_web.training.data import TrainingData
from loravit_web.training.heads.refit import MOST_REFITTED
from loravit_web.training.progress import Reporter
from loravit_web.training.recipe import Recipe

STEP_COST = 3
"""Cost of a training step in forward passes: one forward and a backward pass that costs about two."""


@dataclass(frozen=True)
class Work:
    """Work of a run that uses all of its epochs.

    Attributes:
        read: Number of images to read and resize.
        embedded: Number of images to run through the trunk, including mirrored views.
        evaluated: Number of images to run through the adapted blocks without gradients.
        trained: Number of images to run through the adapted blocks in training steps.
    """

    read: int
    embedded: int
    evaluated: int
    trained: int

    def passes(self, first_block: int, depth: int) -> int:
        """Return all work as a number of forward passes of an image through a block.

        Args:
            first_block: Index of the first adapted block.
            depth: Number of blocks of the base.
        """
        adapted = max(depth - first_block, 1)
        return self.embedded * max(first_block, 1) + adapted * (self.evaluated + STEP_COST * self.trained)


def work_of(data: TrainingData, recipe: Recipe) -> Work:
    """Return the work of a run."""
    train, validation, test = len(data.train), len(data.validation), len(data.test)
    images = train + validation + test
    epochs = recipe.schedule(train)[0]
    refitted = min(train, MOST_REFITTED) if recipe.refit and recipe.is_trained else 0
    return Work(
        read=images,
        embedded=images + (train if recipe.mirror and recipe.is_trained else 0),
        evaluated=images + (epochs + 1) * validation + test + refitted,
        trained=epochs * train,
    )


class WorkMeter:
    """Sum of completed forward passes, reported as a fraction of the total.

    Args:
        total: Number of forward passes of the whole run.
        reporter: Receiver of the progress.
    """

    def __init__(self, total: float, reporter: Reporter) -> None:
        self.total, self.reporter, self.done = total, reporter, 0.0

    @property
    def fraction(self) -> float:
        """Fraction of the work that is done, 0 to 1."""
        return min(self.done / self.total, 1.0)

    def set_done(self, done: float, stage: str) -> None:
        """Set the work done since the start, and report it with the current stage."""
        self.done = done
        self.reporter.report(stage, self.fraction)

    def add(self, units: float, stage: str) -> None:
        """Add work, and report the progress with the current stage."""
        self.set_done(self.done + units, stage)
