"""A process that trains what the queue holds, one run after the other."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from loravit_web.access.rights import is_guest
from loravit_web.backbones import Base, LoadBase, fastest_dtype, load_base
from loravit_web.backbones.base import UnsupportedBase
from loravit_web.datasets import DatasetStore
from loravit_web.settings.environment import Settings
from loravit_web.util.attended import Tell, attended
from loravit_web.worker.causes import DISK_FULL, cause_of
from loravit_web.worker.reaper import Reaper
from loravit_web.worker.run_log import log_of, logged, tell
from loravit_web.worker.runner import STOPPED, execute, sweep_work
from loravit_web.worker.stopping import GRACE_SECONDS, stop_on_signals
from registry import DatabaseNotWritable, Registry, RegistryError, Run, RunLost

POLL_SECONDS = 0.5
UNRECORDED = (
    "The registry could not be written when the training ended: resume the run, or start it again if it "
    "cannot be resumed."
)
_LAST_WORDS_SECONDS = 2.0
_LOG = logging.getLogger(__name__)


def worker_name(pid: int) -> str:
    """How the process with that id on this machine is called in the registry."""
    return f"{socket.gethostname()}:{pid}"


@contextmanager
def opened_worker(settings: Settings) -> Iterator[Worker]:
    """Open the registry and the stored images for a worker of this process, and close them after it.

    Raises:
        SettingsError, RegistryError: If the data folder or its database cannot be used.
    """
    settings = settings.made()
    with Registry.open(settings.database_url, settings.artifacts, cache=settings.artifact_cache) as registry:
        yield Worker(settings, registry, DatasetStore.of(settings))


class Worker:
    """Claims runs and executes them; bases stay loaded from one run to the next."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        datasets: DatasetStore,
        *,
        load: LoadBase = load_base,
    ) -> None:
        """
        Args:
            load: gives the base of a name.
        """
        self.settings, self.registry, self.datasets = settings, registry, datasets
        self.name = worker_name(os.getpid())
        self.terminate = threading.Event()
        self._load = load
        self._bases: dict[str, tuple[Base, torch.dtype]] = {}
        self._run: Run | None = None
        self._unrecorded: str | None = None

    def stopping_on_signals(self, *, grace: float = GRACE_SECONDS) -> AbstractContextManager[None]:
        """On SIGTERM or Ctrl-C end within a step, leaving the run interrupted and resumable.

        Where the step takes longer than ``grace`` seconds, or at a second signal, the whole process ends in
        the middle of it.
        """
        return stop_on_signals(self.terminate, self._end_process, grace=grace)

    def work(self, *, idle_exit: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Execute runs as they are queued, until asked to stop.

        Args:
            idle_exit: return after so many seconds without a run; never when None.
        """
        sweep_work(self.registry, self.settings.work)
        reaper = Reaper(self.registry)
        idle_since = clock()
        while not self.terminate.is_set():
            if self._work_once(reaper):
                idle_since = clock()
            elif idle_exit is not None and clock() - idle_since > idle_exit:
                return
            else:
                self.terminate.wait(POLL_SECONDS)

    def execute(self, run: Run) -> Run:
        """Train one claimed run to its end, and keep a log of it."""
        with logged(log_of(self.settings.run_logs, run.id)):
            tell(f"Training {run.slug}, taken up by {self.name}")
            ended = self._execute(run)
            tell(f"The run is {ended.status}. {ended.error or ended.note or ''}")
            return ended

    def _execute(self, run: Run) -> Run:
        _LOG.info("Training run %s.", run.id)  # its own log says more, and goes with it
        self._run = run
        ended = execute(
            run,
            worker=self.name,
            registry=self.registry,
            datasets=self.datasets,
            load=lambda tell: self._base(run, tell),
            work=self.settings.work / run.id,
            terminate=self.terminate,
            longest=self._longest_minutes(run) * 60,
        )
        self._run = None
        _LOG.info("Run %s: %s. %s", run.id, ended.status, ended.error or ended.note or "")
        return ended

    def use(self, base: Base, dtype: torch.dtype) -> None:
        """Take over a base that is already loaded."""
        self._bases[base.name] = (base, dtype)

    def _work_once(self, reaper: Reaper) -> bool:
        """Claim and execute one run; False where none waits or the registry can't be used just now."""
        try:
            # between two runs none of this worker's can be running: it is one whose end was not recorded
            reaper.look(dead_worker=self.name, error=self._unrecorded)
            self._unrecorded = None
            run = self.registry.runs.claim(self.name)
            if run is None:
                return False
            try:
                self.execute(run)
            except RegistryError as error:
                self._unrecorded = DISK_FULL if cause_of(error)[0] == "disk" else UNRECORDED
                raise
        except RegistryError as error:
            _LOG.warning("%s The worker goes on looking.", error)
            return False
        return True

    def _longest_minutes(self, run: Run) -> float:
        usual = self.settings.limits.training_minutes
        if self.settings.mode == "demo" and is_guest(run.created_by):
            return min(usual, self.settings.demo.minutes)
        return usual

    def _base(self, run: Run, tell: Tell) -> tuple[Base, torch.dtype]:
        name = run.base.name
        if name not in self._bases:
            loaded = attended(lambda told: self._loaded(name, told), tell, stage=f"Loading {name}")
            self._bases = {name: loaded}
        base, dtype = self._bases[name]
        if base.weights_sha256 != run.base.weights_sha256:
            raise UnsupportedBase(
                f"The weights of {name} are no longer those the run was queued for: start the training again."
            )
        return base, dtype

    def _loaded(self, name: str, tell: Tell) -> tuple[Base, torch.dtype]:
        base = self._load(name, self.settings.bases, tell)
        return base, fastest_dtype(base)

    def _end_process(self) -> None:
        """Record the run as interrupted and end, whatever the main thread is in the middle of."""
        words = threading.Thread(target=self._last_words, daemon=True)
        words.start()
        words.join(_LAST_WORDS_SECONDS)  # where even this hangs, a reaper tells the truth later
        os._exit(1)

    def _last_words(self) -> None:
        run = self._run
        if run is None:
            return
        _LOG.warning("Run %s did not stop in time; the process ends now.", run.id)
        try:
            self.registry.runs.finish(run.id, self.name, "interrupted", error=STOPPED, error_kind="stopped")
        except (RunLost, DatabaseNotWritable) as error:
            _LOG.warning("%s", error)
