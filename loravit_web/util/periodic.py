"""Something small that is done again and again beside the requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Periodic:
    """Calls a job in a thread of its own until it is stopped; what goes wrong is logged and tried again."""

    def __init__(self, name: str, job: Callable[[], object], seconds: float) -> None:
        self._name, self._job, self._seconds = name, job, seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Call it for the first time after one interval."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def once(self) -> None:
        """Call it now, in this thread."""
        try:
            self._job()
        except Exception:  # noqa: BLE001 - the next time may go well, and nobody waits for this one
            _LOG.exception("%s failed and is tried again in %g s.", self._name, self._seconds)

    def stop(self) -> None:
        """Return when the job is not running and will not run again."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.once()
