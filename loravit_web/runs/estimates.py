"""Estimates of the duration of a training on this machine, measured once per configuration."""

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

MAX_SECONDS = 30.0
"""Maximum duration of a measurement in seconds."""
MAX_CONFIGURATIONS = 500
"""Maximum number of configurations whose measurement is kept."""
_TOO_SLOW = (
    "These settings are too slow to be measured on this machine. Choose a smaller image size, fewer blocks "
    "or a lower rank."
)


class Estimates:
    """Estimates that reuse earlier measurements. Thread-safe.

    Args:
        base: Returns the base in the data type in which it runs; loads it if needed.
    """

    def __init__(self, base: Callable[[], Base]) -> None:
        self._base = base
        self._paces: dict[tuple[ViTAdapterConfig, int, int], Pace] = {}

    def of(
        self, dataset: ImageDataset, recipe: Recipe, *, is_cancelled: IsCancelled = never_cancelled
    ) -> Estimate:
        """Return the estimate of a training. The first one of a configuration is measured for some seconds.

        Args:
            dataset: Training images.
            recipe: Settings of the training.
            is_cancelled: Returns whether to stop, because the estimate is not needed any more.

        Raises:
            Abandoned: If `is_cancelled` returned True.
            TookTooLong: If the settings are too slow to be measured.
            LoraVitError: If the recipe does not fit the base or the data cannot be read.
        """
        base = self._base()
        data = split_data(dataset, recipe)
        in_time = deadline_check(MAX_SECONDS, _TOO_SLOW)

        def check() -> None:
            raise_if_cancelled(is_cancelled)
            in_time()

        pace = self._paces.get(_measured_for(recipe))
        if pace is None:
            pace = on_all_cores_apart(lambda: measure_pace(base, recipe, check=check))
            if len(self._paces) >= MAX_CONFIGURATIONS:
                self._paces.clear()
            self._paces[_measured_for(recipe)] = pace
        return estimate(data, recipe, base, pace, reading_seconds(data, recipe, base))

    def known(self, dataset: ImageDataset, recipe: Recipe) -> Estimate | None:
        """Return the estimate of a training whose configuration was measured before, or None.

        Args:
            dataset: Training images.
            recipe: Settings of the training.

        Raises:
            LoraVitError: If the recipe does not fit the base or the data cannot be read.
        """
        pace = self._paces.get(_measured_for(recipe))
        if pace is None:
            return None
        base, data = self._base(), split_data(dataset, recipe)
        return estimate(data, recipe, base, pace, reading_seconds(data, recipe, base))


def _measured_for(recipe: Recipe) -> tuple[ViTAdapterConfig, int, int]:
    return recipe.adapter, recipe.image_size, recipe.batch_size
