"""Supervision of training on one machine: worker processes are started while runs are queued."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import as_environment
from loravit_web.worker.reaper import Reaper
from loravit_web.worker.tracking import HEARTBEAT_SECONDS
from registry import Registry, RegistryError

IDLE_EXIT_SECONDS = 120
"""Seconds after which an idle worker ends."""
SHUTDOWN_SECONDS = 10.0
"""Seconds that workers have to end before they are killed."""
_LONGEST_PAUSE_SECONDS = 60.0
KILLED = (
    "The system killed the training process. Resume the run, or retry with half the batch size if the memory "
    "was full."
)
_SIGKILL = 9
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Started:
    """A worker process that was started.

    Attributes:
        process: The process.
        since: Time of its start in seconds.
    """

    process: subprocess.Popen[bytes]
    since: float


class Supervisor:
    """A node: watches the queue, starts workers for queued runs, and takes the runs of workers that died.

    Each worker is a process group of its own, so it survives if the node is killed. It ends by itself if the
    queue stays empty. Other nodes do the same: they all start workers as long as runs are queued and they
    have a free slot, and the registry decides which worker gets which run.

    Args:
        settings: Settings of the app.
        registry: Registry with the queue.
        slots: Maximum number of workers. Without any, the supervisor only takes runs from dead workers.
        interval: Seconds between two checks.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        *,
        slots: int = 1,
        interval: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._registry, self._interval = settings, registry, interval
        self._clock, self._slots = clock, slots
        self._reaper = Reaper(registry, take_ups=settings.take_ups)
        self._node = uuid4().hex
        self._workers: dict[str, _Started] = {}
        self._failed_at, self._pause = 0.0, 0.0
        self._reported_at: float | None = None
        self._failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start to watch the queue."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and end the workers. Their runs wait for other nodes, or can be resumed."""
        self._stop.set()
        self._thread.join()
        living = [one.process for one in self._workers.values() if one.process.poll() is None]
        for process in living:
            process.terminate()
        deadline = self._clock() + SHUTDOWN_SECONDS
        for process in living:
            _wait_or_kill(process, max(0.0, deadline - self._clock()))
        try:
            if self._workers:
                dead = dict.fromkeys(self._workers)
                self._registry.runs.reap(dead=dead, take_ups=self._settings.take_ups)
            if self._reported_at is not None:
                self._registry.nodes.leave(self._node)
        except RegistryError as error:  # the next process that checks the runs marks them
            _LOG.warning("%s The runs of ended training processes may still be marked as running.", error)

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the live workers."""
        return [one.process.pid for one in self._workers.values() if one.process.poll() is None]

    def tick(self) -> None:
        """Check once: report, take the runs of dead workers, and start workers for queued runs."""
        self._report()
        dead = {
            worker: KILLED if one.process.returncode == -_SIGKILL else None
            for worker, one in self._workers.items()
            if one.process.poll() is not None
        }
        counts = self._registry.runs.counts("running", "queued")
        wanted = counts["queued"]
        if counts["running"]:
            living = self._workers.keys() - dead.keys()
            for run in self._reaper.reap(dead=dead, living=living):
                _LOG.warning("Run %s of %s lost its worker. It is %s now.", run.id, run.slug, run.status)
                wanted += run.status == "queued"
            if self._settings.take_ups:  # so that a worker is ready by the time a silent run is given up
                wanted += len(self._reaper.silent_runs(living=living))
        for worker in dead:
            self._forget(self._workers.pop(worker))
        if wanted and self._clock() - self._failed_at >= self._pause:
            self._start_workers(wanted)

    def _start_workers(self, wanted: int) -> None:
        """Start workers for a number of runs, as far as there are free slots; idle workers count too."""
        if len(self._workers) == self._slots:
            return
        busy = 0
        if self._workers:
            running = self._registry.runs.list(status=["running"])
            busy = len({run.worker for run in running} & self._workers.keys())
        for _ in range(len(self._workers), min(self._slots, busy + wanted)):
            worker = uuid4().hex
            self._workers[worker] = _Started(self._spawn(worker), self._clock())

    def _report(self) -> None:
        """Tell the registry at every heartbeat that this node lives."""
        now = self._clock()
        if self._slots and (self._reported_at is None or now - self._reported_at >= HEARTBEAT_SECONDS):
            self._registry.nodes.report(self._node, socket.gethostname(), self._slots)
            self._reported_at = now

    def _forget(self, ended: _Started) -> None:
        """Remember how a worker ended; if it failed to start, the next ones start at increasing intervals."""
        status = ended.process.returncode
        if status != 0:
            _LOG.warning("The training process ended with code %s.", status)
        failed_early = status > 0 and self._clock() - ended.since < _LONGEST_PAUSE_SECONDS
        self._pause = min(_LONGEST_PAUSE_SECONDS, 2 * self._pause + 1) if failed_early else 0.0
        self._failed_at = ended.since

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.tick()
                self._failing = False
            except RegistryError as error:
                if not self._failing:  # logged once, not twice a second
                    _LOG.warning("%s The queue is still watched.", error)
                self._failing = True
            except Exception:  # noqa: BLE001 - watching continues after any error, which is logged
                _LOG.exception("The queue could not be checked. Trying again.")

    def _spawn(self, worker: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "loravit_web", "worker", "--idle-exit", str(IDLE_EXIT_SECONDS)]
        command += ["--id", worker, "--node", self._node]
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


def _wait_or_kill(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _worker_environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, environ.get("PYTHONPATH", "")]))
    return {
        **environ,
        "LORAVIT_HOME": str(settings.home),
        "LORAVIT_BASE": settings.base,
        "LORAVIT_DEVICE": settings.device,
        "LORAVIT_ARTIFACT_URL": settings.artifact_url or "",
        "LORAVIT_DATABASE_URL": settings.database or "",
        "LORAVIT_EXECUTOR": settings.executor,
        **as_environment(settings.limits),
        "PYTHONPATH": path,
    }
