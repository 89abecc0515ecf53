"""Counts answers in memory and writes the counts down from time to time; numbers only, nothing of images."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from loravit_web.util.periodic import Periodic
from registry import Clock, UsageCount, utc_now

INTERVAL_SECONDS = 60.0
_LOG = logging.getLogger(__name__)

Write = Callable[[Sequence[UsageCount]], None]


@dataclass
class _Tally:
    """What one version was asked within one hour and isn't written yet."""

    n: int = 0
    errors: int = 0
    sum_ms: float = 0.0
    max_ms: float = 0.0

    def add(self, n: int, errors: int, sum_ms: float, max_ms: float) -> None:
        self.n += n
        self.errors += errors
        self.sum_ms += sum_ms
        self.max_ms = max(self.max_ms, max_ms)


class UsageCounter:
    """Safe to call from any number of threads; counting never waits for the database.

    Counts that can't be written are kept for the next time; a killed process loses its last interval's.
    """

    def __init__(
        self, write: Write, *, clock: Clock = utc_now, interval_seconds: float = INTERVAL_SECONDS
    ) -> None:
        self._write, self._clock = write, clock
        self._tallies: dict[tuple[int, datetime], _Tally] = {}
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._failing = False
        self._often = Periodic("usage", self.flush, interval_seconds)

    def count(self, version_id: int, milliseconds: float | None) -> None:
        """Count one task asked of a version; None when it could not answer."""
        hour = self._clock().replace(minute=0, second=0, microsecond=0)
        with self._lock:
            tally = self._tallies.setdefault((version_id, hour), _Tally())
            took = milliseconds or 0.0
            tally.add(1, int(milliseconds is None), took, took)

    def start(self) -> None:
        """Write in the background from now on."""
        self._often.start()

    def close(self) -> None:
        """Write for a last time."""
        self._often.stop()
        self.flush()

    def flush(self) -> None:
        """Write what was counted since the last time."""
        with self._flushing:
            with self._lock:
                tallies, self._tallies = self._tallies, {}
            if not tallies:
                return
            try:
                self._write(
                    [
                        UsageCount(version_id, hour, one.n, one.errors, one.sum_ms, one.max_ms)
                        for (version_id, hour), one in tallies.items()
                    ]
                )
            except Exception:  # noqa: BLE001 - counting outlasts whatever the database says, and tells it once
                self._keep(tallies)
                if not self._failing:
                    _LOG.exception("The usage counts could not be written; they are kept and tried again.")
                self._failing = True
            else:
                self._failing = False

    def _keep(self, tallies: dict[tuple[int, datetime], _Tally]) -> None:
        with self._lock:
            for key, one in tallies.items():
                self._tallies.setdefault(key, _Tally()).add(one.n, one.errors, one.sum_ms, one.max_ms)
