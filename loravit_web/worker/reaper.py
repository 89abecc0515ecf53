"""Detection of running runs whose process is gone; they are queued again or marked as interrupted.

An observer declares a run dead only after it has observed missing heartbeats itself. Time in which the
observer could not read the registry (a database outage, a locked database, a suspended machine) proves
nothing, because the worker could not write a heartbeat either. So every failed check restarts the
observation.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from loravit_web.worker.tracking import HEARTBEAT_SECONDS, RETRY_SECONDS, STALE_AFTER
from registry import Heartbeat, Registry, Run

CONFIRM_SECONDS = 4 * HEARTBEAT_SECONDS
"""Seconds of observation for a heartbeat that seems to have stopped before the observation began."""
_MAX_GAP_SECONDS = 2 * HEARTBEAT_SECONDS
"""Maximum seconds between two checks of one observation."""
_PAUSE_SECONDS = 1.0
NONE: Mapping[str, str | None] = MappingProxyType({})
"""No worker that is known to be gone."""
_LOG = logging.getLogger(__name__)


class Reaper:
    """Observer of the heartbeats of running runs, which takes dead runs from their workers.

    A run is dead if no heartbeat was observed for `STALE_AFTER`. If its last heartbeat is older than
    `STALE_AFTER` by the clock of the database, `CONFIRM_SECONDS` are enough: a clock may be set, but a live
    worker writes a heartbeat within that time.

    Args:
        registry: Registry with the runs.
        take_ups: How often a dead run is queued again before it is marked as interrupted.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, registry: Registry, *, take_ups: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._runs, self._take_ups, self._clock = registry.runs, take_ups, clock
        self._checked_at: float | None = None
        self._began = 0.0
        self._silent_since: dict[tuple[str, datetime | None], float] = {}
        self._heartbeats: list[Heartbeat] = []

    def reap(self, *, dead: Mapping[str, str | None] = NONE, living: Collection[str] = ()) -> list[Run]:
        """Take the dead runs from their workers and return them.

        Args:
            dead: Ids of workers that are known to be gone, each with the reason if it is known. Their runs
                are taken at once.
            living: Ids of workers whose processes are known to live. Their heartbeats may be missing for as
                long as a worker waits for the registry.

        Raises:
            RegistryError: If the registry cannot be read or written. The observation restarts then.
        """
        try:
            self._watch(self._runs.heartbeats(suspected=self.silent_runs()))
            silent = {
                heartbeat.run_id: heartbeat.sent_at
                for heartbeat in self._heartbeats
                if self._is_dead(heartbeat, living)
            }
            gone = [
                heartbeat
                for heartbeat in self._heartbeats
                if heartbeat.run_id in silent or heartbeat.worker in dead
            ]
            if not gone:
                return []
            self._heartbeats = [heartbeat for heartbeat in self._heartbeats if heartbeat not in gone]
            return self._runs.reap(silent=silent, dead=dead, take_ups=self._take_ups)
        except Exception:
            self._checked_at, self._heartbeats = None, []
            raise

    @property
    def suspects(self) -> Sequence[Heartbeat]:
        """Heartbeats that seem too old and of which no newer one was observed."""
        return [
            heartbeat
            for heartbeat in self._heartbeats
            if heartbeat.age > STALE_AFTER
            and self._silent_since[heartbeat.run_id, heartbeat.sent_at] <= self._began
        ]

    def silent_runs(self, *, living: Collection[str] = ()) -> list[str]:
        """Return the ids of runs without a recent heartbeat at the last check, which may still be alive.

        Every further check proves that a heartbeat could be written.

        Args:
            living: Ids of workers whose runs are left out.
        """
        return [
            heartbeat.run_id
            for heartbeat in self._heartbeats
            if self._silent_seconds(heartbeat) > _MAX_GAP_SECONDS and heartbeat.worker not in living
        ]

    def _watch(self, heartbeats: list[Heartbeat]) -> None:
        now = self._clock()
        restarted = self._checked_at is None or now - self._checked_at > _MAX_GAP_SECONDS
        if restarted:
            self._began, self._silent_since = now, {}
        before = self._silent_since
        self._silent_since = {
            (heartbeat.run_id, heartbeat.sent_at): before.get((heartbeat.run_id, heartbeat.sent_at), now)
            for heartbeat in heartbeats
        }
        self._checked_at, self._heartbeats = now, heartbeats

    def _silent_seconds(self, heartbeat: Heartbeat) -> float:
        """Return the seconds without a new heartbeat, at the last check."""
        return (
            0.0
            if self._checked_at is None
            else self._checked_at - self._silent_since[heartbeat.run_id, heartbeat.sent_at]
        )

    def _is_dead(self, heartbeat: Heartbeat, living: Collection[str]) -> bool:
        silent_seconds = self._silent_seconds(heartbeat)
        if heartbeat.worker in living:
            return silent_seconds >= RETRY_SECONDS + STALE_AFTER.total_seconds()
        return silent_seconds >= STALE_AFTER.total_seconds() or (
            heartbeat.age > STALE_AFTER and silent_seconds >= CONFIRM_SECONDS
        )


def reap_once(
    registry: Registry,
    *,
    take_ups: int = 0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Run]:
    """Take the dead runs from their workers and return them, without further observation.

    Returns at once unless a heartbeat seems too old. Then it observes for up to `CONFIRM_SECONDS`, because a
    live worker may only have been kept from writing.

    Args:
        registry: Registry with the runs.
        take_ups: How often a dead run is queued again before it is marked as interrupted.
        clock: Returns the time in seconds.
        sleep: Waits for a number of seconds.

    Raises:
        RegistryError: If the registry cannot be read or written.
    """
    reaper = Reaper(registry, take_ups=take_ups, clock=clock)
    dead = reaper.reap()
    if reaper.suspects:
        names = ", ".join(heartbeat.run_id[:8] for heartbeat in reaper.suspects)
        _LOG.warning("No recent heartbeat of run %s. Watching for %.0f s.", names, CONFIRM_SECONDS)
    while reaper.suspects:
        sleep(_PAUSE_SECONDS)
        dead += reaper.reap()
    return dead
