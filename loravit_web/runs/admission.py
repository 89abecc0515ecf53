"""Whether one more training may be queued: disk quota, length of the queue, and the rules of a demo."""

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
    check_data,
    check_interrupted,
    check_name,
    check_time,
    check_turns,
    no_more_turns,
)
from loravit_web.settings.environment import Settings
from loravit_web.settings.quota import Quota
from registry import Registry, Run, utc_now

if TYPE_CHECKING:  # they load torch, which stopping and resuming a run do not need
    from loravit_web.datasets import ImageDataset
    from loravit_web.training.estimate import Estimate
    from loravit_web.training.recipe import Recipe

    CostOf = Callable[[ImageDataset, Recipe], Estimate]

A_DAY = 24 * 3600.0


class QueueFull(LoraVitError):
    """The queue holds as many trainings as it may."""


class Admission:
    """Checks everything that limits queueing, for one caller at a time.

    A process has one, so that of several callers at one moment no more pass than may.
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
        """Prepare the checks for one data folder.

        Args:
            registry: All of it, because runs that a visitor cannot see wait in the same queue.
            settings: With the limits and the rules of a demo.
            quota: Of the data folder. By default the one that the settings give.
            cost_of: Estimates a training. Only an app with guests needs it.
            clock: Gives the present moment.
        """
        self._registry, self._settings, self._cost_of, self._clock = registry, settings, cost_of, clock
        self.quota = quota or settings.quota
        self._turns = RateLimit(settings.demo.runs, seconds=A_DAY)
        self._lock = threading.Lock()

    def check_size(self, visitor: Visitor, dataset: ImageDataset, recipe: Recipe) -> None:
        """Check that a training is small enough for its visitor.

        Raises:
            BeyondDemo: If a guest's data is too large, or the training is expected to take too long.
        """
        if visitor.is_guest:
            assert self._cost_of is not None  # only the app has guests, and it can estimate
            check_data(self._settings.demo, dataset)
            check_time(self._settings.demo, self._cost_of(dataset, recipe))

    @contextmanager
    def queueing(self, visitor: Visitor, name: str) -> Iterator[None]:
        """Let a visitor queue a new training of that name; for a guest it counts as a turn.

        Raises:
            QuotaReached: If the data folder is full.
            QueueFull: If as many trainings wait as may.
            BeyondDemo: If a guest has no turn left today, or the name is taken.
        """
        with self._lock:
            self._check_room()
            if visitor.is_guest:
                self._take_turn(visitor, name)
            yield

    @contextmanager
    def resuming(self, visitor: Visitor, run: Run) -> Iterator[None]:
        """Let a visitor queue an ended run again.

        Raises:
            QuotaReached: If the data folder is full.
            QueueFull: If as many trainings wait as may.
            BeyondDemo: If a guest's run was not interrupted by the app, or its name is taken.
        """
        with self._lock:
            self._check_room()
            if visitor.is_guest:
                check_interrupted(run)
                check_name(self._registry, visitor.name, run.slug)
            yield

    def _check_room(self) -> None:
        self.quota.free_bytes()
        waiting, most = self._registry.runs.count("queued"), self._settings.limits.queued_runs
        if waiting >= most:
            raise QueueFull(
                f"{waiting} training{'s wait' if waiting > 1 else ' waits'} already, which is the limit "
                "here: try again when one has begun."
            )

    def _take_turn(self, visitor: Visitor, name: str) -> None:
        rules = self._settings.demo
        check_turns(rules, self._registry, visitor.name, self._clock())
        check_name(self._registry, visitor.name, name)
        try:  # last, as it counts
            self._turns.admit(visitor.counted_by)
        except TooManyRequests as error:
            raise no_more_turns(rules) from error
