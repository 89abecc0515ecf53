"""Find running runs whose process is gone, and mark them as interrupted.

An observer declares a run dead only after it has itself watched the heart stand still. Time in which the
observer could not look (a database outage, a locked database, a machine asleep) proves nothing, because the
worker could not write a heartbeat either. So every failed look starts the watch anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from loravit_web.worker.tracking import HEARTBEAT_SECONDS, PATIENCE_SECONDS, STALE_AFTER
from registry import Heartbeat, Registry, Run

SURE_SECONDS = 4 * HEARTBEAT_SECONDS
"""How long a heart must be watched that seems to have stood still since before the watch began."""
_BLINK_SECONDS = 2 * HEARTBEAT_SECONDS
"""The longest time between two looks of one watch."""
_PAUSE_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class Reaper:
    """Looks at the hearts of running runs again and again, and marks the dead runs as interrupted.

    A run is dead once its heart was seen to stand still for `STALE_AFTER`. For a heartbeat that is older than
    `STALE_AFTER` by the clocks of both machines, `SURE_SECONDS` are enough: clocks may be wrong, but a live
    worker writes a heartbeat within that time.
    """

    def __init__(self, registry: Registry, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._runs, self._clock = registry.runs, clock
        self._looked: float | None = None
        self._began = 0.0
        self._still_since: dict[tuple[str, datetime | None], float] = {}
        self._heartbeats: list[Heartbeat] = []

    def look(
        self, *, dead_worker: str | None = None, living_worker: str | None = None, error: str | None = None
    ) -> list[Run]:
        """Mark the dead runs as interrupted and return them.

        Args:
            dead_worker: a worker known to be gone. Its runs are marked at once.
            living_worker: a worker whose process is known to live. Its heart may stand still for as long as
                a worker waits for the registry.
            error: why `dead_worker` is gone, if the caller knows.

        Raises:
            RegistryError: if the registry cannot be read or written. The watch then starts anew.
        """
        try:
            self._watch(self._runs.heartbeats(suspected=self._doubted()))
            silent = {
                heartbeat.run_id: heartbeat.sent_at
                for heartbeat in self._heartbeats
                if self._is_dead(heartbeat, living_worker)
            }
            gone = [
                heartbeat
                for heartbeat in self._heartbeats
                if heartbeat.run_id in silent or (dead_worker is not None and heartbeat.worker == dead_worker)
            ]
            if not gone:
                return []
            self._heartbeats = [heartbeat for heartbeat in self._heartbeats if heartbeat not in gone]
            return self._runs.reap(silent=silent, dead_worker=dead_worker, error=error)
        except Exception:
            self._looked, self._heartbeats = None, []
            raise

    @property
    def suspects(self) -> Sequence[Heartbeat]:
        """Hearts whose last heartbeat seems too old, and that were not seen to beat in this watch."""
        return [
            heartbeat
            for heartbeat in self._heartbeats
            if heartbeat.age > STALE_AFTER
            and self._still_since[heartbeat.run_id, heartbeat.sent_at] <= self._began
        ]

    def _watch(self, heartbeats: list[Heartbeat]) -> None:
        now = self._clock()
        blind = self._looked is None or now - self._looked > _BLINK_SECONDS
        if blind:
            self._began, self._still_since = now, {}
        before = self._still_since
        self._still_since = {
            (heartbeat.run_id, heartbeat.sent_at): before.get((heartbeat.run_id, heartbeat.sent_at), now)
            for heartbeat in heartbeats
        }
        self._looked, self._heartbeats = now, heartbeats

    def _still(self, heartbeat: Heartbeat) -> float:
        """Seconds for which the heart was seen to stand still, at the last look."""
        return (
            0.0
            if self._looked is None
            else self._looked - self._still_since[heartbeat.run_id, heartbeat.sent_at]
        )

    def _doubted(self) -> list[str]:
        """Runs whose heart stands still: from now on every look proves that a heartbeat could be written."""
        return [heartbeat.run_id for heartbeat in self._heartbeats if self._still(heartbeat) > _BLINK_SECONDS]

    def _is_dead(self, heartbeat: Heartbeat, living_worker: str | None) -> bool:
        still = self._still(heartbeat)
        if living_worker is not None and heartbeat.worker == living_worker:
            return still >= PATIENCE_SECONDS + STALE_AFTER.total_seconds()
        return still >= STALE_AFTER.total_seconds() or (heartbeat.age > STALE_AFTER and still >= SURE_SECONDS)


def reap_once(
    registry: Registry,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Run]:
    """Mark the dead runs as interrupted and return them, for a caller that does not go on looking.

    Returns at once unless a heartbeat seems too old. Then it watches for up to `SURE_SECONDS`, because that
    heart may only have been kept from beating.

    Raises:
        RegistryError: if the registry cannot be read or written.
    """
    reaper = Reaper(registry, clock=clock)
    dead = reaper.look()
    if reaper.suspects:
        names = ", ".join(heartbeat.run_id[:8] for heartbeat in reaper.suspects)
        _LOG.warning("No recent heartbeat of run %s. Watching for %.0f s.", names, SURE_SECONDS)
    while reaper.suspects:
        sleep(_PAUSE_SECONDS)
        dead += reaper.look()
    return dead
