"""What trainings will take on this machine, measured once for each kind of training."""

from __future__ import annotations

from collections.abc import Callable

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.backbones import Base
from loravit_web.datasets import ImageDataset
from loravit_web.training.data import split_data
from loravit_web.training.estimate import Estimate, Pace, estimate, measure_pace, reading_seconds
from loravit_web.training.recipe import Recipe
from loravit_web.util.cancellation import IsCancelled, deadline_check, never_cancelled, raise_if_cancelled
from loravit_web.util.cores import on_all_cores_apart

LONGEST_SECONDS = 30.0
"""For measuring what one kind of training takes."""
MOST = 500
"""Kinds of training that are remembered."""
_TOO_SLOW = (
    "These settings are too slow to be measured here. Choose a smaller image size, fewer blocks or a smaller "
    "rank."
)


class Estimates:
    """Estimates that remember what was measured. Safe to use from any number of threads."""

    def __init__(self, base: Callable[[], Base]) -> None:
        """Start without any measurement.

        Args:
            base: Gives the base as it runs, and loads it if need be.
        """
        self._base = base
        self._paces: dict[tuple[ViTAdapterConfig, int, int], Pace] = {}

    def of(
        self, dataset: ImageDataset, recipe: Recipe, *, is_cancelled: IsCancelled = never_cancelled
    ) -> Estimate:
        """Return what a training will take. The first of its kind is measured for some seconds.

        Args:
            dataset: Its images.
            recipe: Its settings.
            is_cancelled: Tells whether nobody waits for the estimate any more.

        Raises:
            Abandoned: If nobody waits for it any more.
            TookTooLong: If the settings are too slow to be measured.
            LoraVitError: If the recipe does not fit the base or the data cannot be read.
        """
        base = self._base()
        data = split_data(dataset, recipe)
        in_time = deadline_check(LONGEST_SECONDS, _TOO_SLOW)

        def check() -> None:
            raise_if_cancelled(is_cancelled)
            in_time()

        measured_for = (recipe.adapter, recipe.image_size, recipe.batch_size)
        pace = self._paces.get(measured_for)
        if pace is None:
            pace = on_all_cores_apart(lambda: measure_pace(base, recipe, check=check))
            if len(self._paces) >= MOST:
                self._paces.clear()
            self._paces[measured_for] = pace
        return estimate(data, recipe, base, pace, reading_seconds(data, recipe, base))
