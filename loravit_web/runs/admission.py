"""Checks before a run is queued: disk quota, length of the queue, and the rules of a demo."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from loravit_web.access.rates import RateLimit, TooManyRequests
from loravit_web.access.rights import Visitor
from loravit_web.errors import LoraVitError
from loravit_web.runs.demo import (
    check_daily_runs,
    check_data,
    check_interrupted,
    check_name,
    check_time,
    daily_limit_reached,
)
from loravit_web.settings.environment import Settings
from loravit_web.settings.quota import Quota
from registry import Registry, Run, utc_now

if TYPE_CHECKING:  # stopping and resuming a run do not need torch
    from loravit_web.datasets import ImageDataset
    from loravit_web.training.estimate import Estimate
    from loravit_web.training.recipe import Recipe

    CostOf = Callable[[ImageDataset, Recipe], Estimate]

DAY_SECONDS = 24 * 3600.0


class QueueFull(LoraVitError):
    """A queue with the maximum number of runs."""


class Admission:
    """Checks of everything that limits queueing, for one caller at a time.

    A process uses a single instance, so that simultaneous callers cannot exceed a limit together.

    Args:
        registry: Registry with all runs, because runs that a visitor cannot see wait in the same queue.
        settings: Settings with the limits and the rules of a demo.
        quota: Quota of the data folder, or None for that of the settings.
        cost_of: Estimates a training. Only needed for visitors of a demo.
        clock: Returns the current time.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        *,
        quota: Quota | None = None,
        cost_of: CostOf | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._registry, self._settings, self._cost_of, self._clock = registry, settings, cost_of, clock
        self.quota = quota or settings.quota
        self._demo_runs = RateLimit(settings.demo.runs, seconds=DAY_SECONDS)
        self._lock = threading.Lock()

    def check_size(self, visitor: Visitor, dataset: ImageDataset, recipe: Recipe) -> None:
        """Check that a training is small enough for a visitor. Only demos have such limits.

        Args:
            visitor: Visitor who wants to train.
            dataset: Training images.
            recipe: Settings of the training.

        Raises:
            BeyondDemo: If there are too many classes or images, or the training is expected to take too long.
        """
        if visitor.is_guest:
            assert self._cost_of is not None  # only the app has visitors of a demo, and it passes cost_of
            check_data(self._settings.demo, dataset)
            check_time(self._settings.demo, self._cost_of(dataset, recipe))

    @contextmanager
    def queueing(self, visitor: Visitor, name: str, *, runs: int = 1) -> Iterator[None]:
        """Admit new runs, which the caller queues in the context. Runs of a demo's visitors are counted.

        Args:
            visitor: Visitor who queues the run.
            name: Title or slug of the adapter.
            runs: Number of the runs.

        Raises:
            QuotaReached: If the data folder is full.
            QueueFull: If the queue is full, or has not enough room.
            BeyondDemo: If a visitor of a demo reached the daily limit, or the name is taken.
        """
        with self._lock:
            self._check_room(runs)
            for _ in range(runs if visitor.is_guest else 0):
                self._count_demo_run(visitor, name)
            yield

    @contextmanager
    def resuming(self, visitor: Visitor, run: Run) -> Iterator[None]:
        """Admit an ended run, which the caller queues again in the context.

        Args:
            visitor: Visitor who resumes the run.
            run: The ended run.

        Raises:
            QuotaReached: If the data folder is full.
            QueueFull: If the queue is full.
            BeyondDemo: If the run of a demo's visitor was not interrupted by the app, or its name is taken.
        """
        with self._lock:
            self._check_room()
            if visitor.is_guest:
                check_interrupted(run)
                check_name(self._registry, visitor.name, run.slug)
            yield

    def _check_room(self, runs: int = 1) -> None:
        self.quota.free_bytes()
        waiting, limit = self._registry.runs.count("queued"), self._settings.limits.queued_runs
        room = max(0, limit - waiting)
        if runs > max(1, room):
            raise QueueFull(
                f"The sweep has {runs} runs, and the queue has room for {room} of {limit}. Try fewer "
                "settings, or raise LORAVIT_MAX_QUEUED_RUNS."
            )
        if waiting >= limit:
            raise QueueFull(
                f"The queue is full: {waiting} run{'s are' if waiting > 1 else ' is'} waiting, which is the "
                "limit. Try again when a run has started."
            )

    def _count_demo_run(self, visitor: Visitor, name: str) -> None:
        rules = self._settings.demo
        check_daily_runs(rules, self._registry, visitor.name, self._clock())
        check_name(self._registry, visitor.name, name)
        try:  # last, because it counts the run
            self._demo_runs.admit(visitor.counted_by)
        except TooManyRequests as error:
            raise daily_limit_reached(rules) from error
