"""Telling the truth about runs whose process is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from loravit_web.training.tracking import HEARTBEAT_SECONDS, STALE_AFTER
from registry import Registry, Run

_ASLEEP_SECONDS = STALE_AFTER.total_seconds() / 2


class Reaper:
    """Looks now and then, and marks as interrupted the runs without a heartbeat.

    When a machine wakes up, every heart on it seems to have stood still. So a reaper that notices that it has
    itself not looked for long adds that time to what it allows, until the others have had time to beat.
    """

    def __init__(self, registry: Registry, *, clock: Callable[[], float] = time.time) -> None:
        self._runs, self._clock = registry.runs, clock
        self._looked = clock()
        self._slept, self._mild_until = 0.0, 0.0

    def look(self, *, dead_worker: str | None = None, error: str | None = None) -> list[Run]:
        """Mark and return the runs without a heartbeat, and those of a worker that is known to be gone."""
        now = self._clock()
        if now - self._looked > _ASLEEP_SECONDS:
            self._slept, self._mild_until = now - self._looked, now + 3 * HEARTBEAT_SECONDS
        self._looked = now
        slept = self._slept if now < self._mild_until else 0.0
        allowed = STALE_AFTER + timedelta(seconds=slept)
        return self._runs.reap(stale_after=allowed, dead_worker=dead_worker, error=error)
