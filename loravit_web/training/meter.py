"""How much of a run is done, counted in work instead of time."""

from __future__ import annotations

from loravit_web.training.data import TrainingData
from loravit_web.training.progress import Reporter
from loravit_web.training.recipe import Recipe

STEP_COST = 3
"""A training step costs about three forward passes: one forward, two backward."""


class WorkMeter:
    """Adds up forward passes of one image through one block and reports the fraction done."""

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


def run_cost(data: TrainingData, recipe: Recipe, first_block: int, depth: int) -> float:
    """All the work of a run that uses all its epochs."""
    train, validation, test = len(data.train), len(data.validation), len(data.test)
    views = 2 if recipe.mirror else 1
    adapted = max(depth - first_block, 1)
    trunk = (views * train + validation + test) * max(first_block, 1)
    probe = (train + validation + test) * adapted
    epochs = recipe.schedule(train)[0] * (STEP_COST * train + validation) * adapted
    return trunk + probe + epochs + (validation + test) * adapted
