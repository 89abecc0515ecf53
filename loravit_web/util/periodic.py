"""Periodic background jobs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Periodic:
    """Calls a job periodically in a thread of its own; errors are logged and the job is tried again.

    Args:
        name: Name of the thread.
        job: The job.
        seconds: Seconds between two calls.
        expected: Errors that are logged in one line, such as those of a database that is away.
    """

    def __init__(
        self,
        name: str,
        job: Callable[[], object],
        seconds: float,
        *,
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        self._name, self._job, self._seconds, self._expected = name, job, seconds, expected
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; the first call is after one interval."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def run_once(self) -> None:
        """Call the job now in this thread."""
        try:
            self._job()
        except self._expected as error:
            _LOG.warning("%s failed. It is tried again in %g s. %s", self._name, self._seconds, error)
        except Exception:  # noqa: BLE001 - the job is tried again later
            _LOG.exception("%s failed. It is tried again in %g s.", self._name, self._seconds)

    def stop(self) -> None:
        """Stop the thread; returns when the job is not running."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.run_once()
