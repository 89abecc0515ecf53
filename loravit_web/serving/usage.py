"""Usage counts: requests are counted in memory and written periodically.

Only numbers, nothing about images.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from loravit_web.util.periodic import Periodic
from registry import Clock, RegistryError, UsageCount, utc_now

INTERVAL_SECONDS = 60.0
"""Seconds between two writes."""
_LOG = logging.getLogger(__name__)

Write = Callable[[Sequence[UsageCount]], None]
"""Writes usage counts."""


@dataclass
class _Tally:
    """Requests of one version within one hour that are not yet written."""

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
    """Counter of requests. Thread-safe; counting never waits for the database.

    Counts that cannot be written are kept for the next time. A killed process loses the counts of the last
    interval.

    Args:
        write: Writes usage counts.
        clock: Returns the current time.
        interval_seconds: Seconds between two writes.
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
        """Count one request of a version; ``milliseconds`` is None after an error."""
        hour = self._clock().replace(minute=0, second=0, microsecond=0)
        with self._lock:
            tally = self._tallies.setdefault((version_id, hour), _Tally())
            took = milliseconds or 0.0
            tally.add(1, int(milliseconds is None), took, took)

    def start(self) -> None:
        """Start to write in the background."""
        self._often.start()

    def close(self) -> None:
        """Stop the background thread and write a last time."""
        self._often.stop()
        self.flush()

    def flush(self) -> None:
        """Write the counts since the last write."""
        with self._flushing:
            with self._lock:
                tallies, self._tallies = self._tallies, {}
            if not tallies:
                return
            try:
                self._write(
                    [
                        UsageCount(version_id, hour, tally.n, tally.errors, tally.sum_ms, tally.max_ms)
                        for (version_id, hour), tally in tallies.items()
                    ]
                )
            except Exception as error:  # noqa: BLE001 - counting continues after any error, which is logged once
                self._keep(tallies)
                if not self._failing:
                    # the traceback of a database that is away says nothing more
                    trace = None if isinstance(error, RegistryError) else error
                    _LOG.error("The usage counts are kept and written later: %s", error, exc_info=trace)
                self._failing = True
            else:
                self._failing = False

    def _keep(self, tallies: dict[tuple[int, datetime], _Tally]) -> None:
        with self._lock:
            for key, tally in tallies.items():
                self._tallies.setdefault(key, _Tally()).add(tally.n, tally.errors, tally.sum_ms, tally.max_ms)
