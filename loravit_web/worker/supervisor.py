"""The app's side of training: a worker process of its own, started when there is something to train."""

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
_SHUTDOWN_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 60.0
KILLED = (
    "The system killed the training process, most often because the memory was full: resume the run, or "
    "retry with half the batch."
)
_SIGKILL = 9
_LOG = logging.getLogger(__name__)


class Supervisor:
    """Watches the queue: starts a worker when a run waits, and tells the truth when one dies.

    The worker is its own process group, so it outlives the app if the app is killed; it ends by itself
    when the queue stays empty.
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
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and end the worker; a run in progress is left interrupted and resumable."""
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
        except RegistryError as error:  # the next process that looks marks the run
            _LOG.warning("%s The run of the ended training process still says it runs.", error)

    @property
    def worker_pid(self) -> int | None:
        """Process id of the live worker, if there is one."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def tick(self) -> None:
        """Look once: reap runs of dead workers, start a worker if a run waits and none is being trained."""
        runs, process = self._registry.runs, self._process
        dead = living = why = None
        if process is not None and process.poll() is None:
            living = worker_name(process.pid)
        elif process is not None:
            dead = worker_name(process.pid)
            why = KILLED if process.returncode == -_SIGKILL else None
        counts = runs.counts("running", "queued")
        running = counts["running"]
        if running:
            for run in self._reaper.look(dead_worker=dead, living_worker=living, error=why):
                _LOG.warning("Run %s of %s was interrupted.", run.id, run.slug)
                running -= 1
        if process is not None and dead is not None:
            self._bury(process)
        waited = self._clock() - self._started >= self._pause
        if self._process is None and waited and counts["queued"] and not running:
            self._process, self._started = self._spawn(), self._clock()

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a worker that ended; one that can't even start is started again ever more rarely."""
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
                if not self._failing:  # said once, not twice a second
                    _LOG.warning("%s The app goes on looking at the queue.", error)
                self._failing = True
            except Exception:  # noqa: BLE001 - the watch outlasts whatever one look meets, and says so
                _LOG.exception("The queue could not be looked at; trying again.")

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
        """The worker's log, to be appended to; nothing is kept where the disk does not take it."""
        log = self._settings.worker_log
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            return log.open("ab")
        except OSError as error:
            _LOG.warning("The log %s can't be kept (%s); the worker is started without.", log.name, error)
            return Path(os.devnull).open("ab")


def _worker_environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, environ.get("PYTHONPATH", "")]))
    return {
        **environ,
        "LORAVIT_HOME": str(settings.home),
        "LORAVIT_BASE": settings.base,
        "LORAVIT_ARTIFACT_URL": settings.artifact_url or "",
        "LORAVIT_DATABASE_URL": settings.database_url,
        **as_environment(settings.limits),
        "PYTHONPATH": path,
    }
