"""Supervision of training by the app: a worker process is started when a run is queued."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import as_environment
from loravit_web.worker.reaper import Reaper
from loravit_web.worker.worker import worker_name
from registry import Registry, RegistryError

IDLE_EXIT_SECONDS = 120
"""Seconds after which an idle worker ends."""
_SHUTDOWN_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 60.0
KILLED = (
    "The system killed the training process. Resume the run, or retry with half the batch size if the memory "
    "was full."
)
_SIGKILL = 9
_LOG = logging.getLogger(__name__)


class Supervisor:
    """Watches the queue: starts a worker when a run is queued, and marks the run of a worker that died.

    The worker is a process group of its own, so it survives if the app is killed. It ends by itself if the
    queue stays empty.

    Args:
        settings: Settings of the app.
        registry: Registry with the queue.
        interval: Seconds between two checks.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        *,
        interval: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._registry, self._interval = settings, registry, interval
        self._clock, self._reaper = clock, Reaper(registry)
        self._process: subprocess.Popen[bytes] | None = None
        self._started, self._pause = 0.0, 0.0
        self._failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start to watch the queue."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and end the worker; a run in progress becomes interrupted and can be resumed."""
        self._stop.set()
        self._thread.join()
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_SHUTDOWN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        try:
            self._registry.runs.reap(dead_worker=worker_name(process.pid))
        except RegistryError as error:  # the next process that checks the run marks it
            _LOG.warning("%s The run of the ended training process is still marked as running.", error)

    @property
    def worker_pid(self) -> int | None:
        """Process id of the live worker, or None."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def tick(self) -> None:
        """Check once: mark runs of dead workers, and start a worker if a run is queued and none runs."""
        runs, process = self._registry.runs, self._process
        dead = living = error = None
        if process is not None and process.poll() is None:
            living = worker_name(process.pid)
        elif process is not None:
            dead = worker_name(process.pid)
            error = KILLED if process.returncode == -_SIGKILL else None
        counts = runs.counts("running", "queued")
        running = counts["running"]
        if running:
            for run in self._reaper.reap(dead_worker=dead, living_worker=living, error=error):
                _LOG.warning("Run %s of %s was interrupted.", run.id, run.slug)
                running -= 1
        if process is not None and dead is not None:
            self._forget_worker(process)
        waited = self._clock() - self._started >= self._pause
        if self._process is None and waited and counts["queued"] and not running:
            self._process, self._started = self._spawn(), self._clock()

    def _forget_worker(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a worker that ended; one that fails to start is started again at increasing intervals."""
        self._process = None
        if process.returncode != 0:
            _LOG.warning("The training process ended with code %s.", process.returncode)
        failed_early = process.returncode > 0 and self._clock() - self._started < _LONGEST_PAUSE_SECONDS
        self._pause = min(_LONGEST_PAUSE_SECONDS, 2 * self._pause + 1) if failed_early else 0.0

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.tick()
                self._failing = False
            except RegistryError as error:
                if not self._failing:  # logged once, not twice a second
                    _LOG.warning("%s The app continues to watch the queue.", error)
                self._failing = True
            except Exception:  # noqa: BLE001 - watching continues after any error, which is logged
                _LOG.exception("The queue could not be checked. Trying again.")

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "loravit_web", "worker", "--idle-exit", str(IDLE_EXIT_SECONDS)]
        with self._worker_log() as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_worker_environment(os.environ, self._settings),
                start_new_session=True,
            )

    def _worker_log(self) -> BinaryIO:
        """Open the worker's log for appending, or the null device if the disk cannot be written."""
        log = self._settings.worker_log
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            return log.open("ab")
        except OSError as error:
            _LOG.warning(
                "The log %s cannot be written (%s). The worker is started without it.", log.name, error
            )
            return Path(os.devnull).open("ab")


def _worker_environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, environ.get("PYTHONPATH", "")]))
    return {
        **environ,
        "LORAVIT_HOME": str(settings.home),
        "LORAVIT_BASE": settings.base,
        "LORAVIT_ARTIFACT_URL": settings.artifact_url or "",
        "LORAVIT_DATABASE_URL": settings.database or "",
        **as_environment(settings.limits),
        "PYTHONPATH": path,
    }
