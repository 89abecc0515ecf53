"""A worker: a process that trains the queued runs one after the other."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from uuid import uuid4

import torch

from loravit_web.access.rights import is_guest
from loravit_web.backbones import Base, LoadBase, RememberedChoices, load_base, remembered_dtype
from loravit_web.backbones.base import UnsupportedBase
from loravit_web.backbones.device import chosen_device
from loravit_web.catalog.stored_bases import find_base
from loravit_web.datasets import DatasetStore
from loravit_web.errors import LoraVitError
from loravit_web.settings.environment import Settings
from loravit_web.util.uninterruptible import ReportProgress, run_with_progress
from loravit_web.worker.failures import DISK_FULL, describe_failure
from loravit_web.worker.fetching import fetch_images
from loravit_web.worker.keeping import Keeper, remove_checkpoints
from loravit_web.worker.reaper import Reaper
from loravit_web.worker.run_log import log_of, log_step, run_log_file
from loravit_web.worker.runner import STOPPED, execute, sweep_first_answers, sweep_work
from loravit_web.worker.stopping import GRACE_SECONDS, stop_on_signals
from loravit_web.worker.token_cache import TokenCache
from registry import DatabaseNotWritable, Registry, RegistryError, Run, RunLost

POLL_SECONDS = 0.5
"""Seconds between two checks of the queue."""
UNRECORDED = (
    "The registry could not be written when the training ended. Resume the run, or start it again if it "
    "cannot be resumed."
)
_RECORD_SECONDS = 2.0
_LOG = logging.getLogger(__name__)


def _unreported(_fraction: float, _stage: str) -> None:
    """Report no progress."""


@contextmanager
def opened_worker(
    settings: Settings, *, worker_id: str | None = None, node: str | None = None
) -> Iterator[Worker]:
    """Open the registry and the stored images for a worker of this process, and close them after it.

    Args:
        settings: Settings of the app.
        worker_id: Id of the worker, or None for a new one.
        node: Node that started the process, or None.

    Raises:
        SettingsError, RegistryError: If the data folder or its database cannot be used.
    """
    settings = settings.ensure_home()
    with Registry.open(settings.database_url, settings.artifacts, cache=settings.artifact_cache) as registry:
        yield Worker(settings, registry, DatasetStore.of(settings), worker_id=worker_id, node=node)


class Worker:
    """Claims runs and executes them; the base stays loaded from one run to the next.

    Args:
        settings: Settings of the app.
        registry: Registry with the queue.
        datasets: Store of the datasets.
        load: Loads a base that is not in the artifact store by its name.
        worker_id: Id by which the registry knows this worker and no other one, or None for a new one.
        node: Node that started the process, or None.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        datasets: DatasetStore,
        *,
        load: LoadBase = load_base,
        worker_id: str | None = None,
        node: str | None = None,
    ) -> None:
        self.settings, self.registry, self.datasets = settings, registry, datasets
        self.id, self._node = worker_id or uuid4().hex, node
        self.terminate = threading.Event()
        self._load = load
        self._bases: dict[str, tuple[Base, torch.dtype]] = {}
        self._run: Run | None = None
        self._prepared: set[str] = set()
        self._tokens: tuple[str, TokenCache] | None = None
        self._unrecorded: str | None = None

    def stopping_on_signals(self, *, grace: float = GRACE_SECONDS) -> AbstractContextManager[None]:
        """End within a step on SIGTERM or Ctrl-C and leave the run interrupted, so that it can be resumed.

        If the step takes longer than ``grace`` seconds, or at a second signal, the process ends in the middle
        of it.

        Args:
            grace: Seconds between the signal and the end of the process.
        """
        return stop_on_signals(self.terminate, self._end_process, grace=grace)

    def work(self, *, idle_exit: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Execute queued runs until the worker is stopped.

        Args:
            idle_exit: Seconds without a run after which to return, or None to wait for ever.
            clock: Returns the time in seconds.
        """
        sweep_work(self.registry, self.settings.work)
        sweep_first_answers(self.registry)
        reaper = Reaper(self.registry, take_ups=self.settings.take_ups)
        idle_since = clock()
        while not self.terminate.is_set():
            if self._work_once(reaper):
                idle_since = clock()
            elif idle_exit is not None and clock() - idle_since > idle_exit:
                return
            else:
                self.terminate.wait(POLL_SECONDS)

    def execute(self, run: Run) -> Run:
        """Train one claimed run to its end and keep a log of it."""
        log = log_of(self.settings.run_logs, run.id)
        keeper = (
            Keeper(self.registry, run, self.settings.work / run.id, log) if self._is_one_of_many else None
        )
        with run_log_file(log):
            where = f"{socket.gethostname()} (worker {self.id[:8]}, attempt {run.attempt})"
            log_step(f"Training {run.slug} on {where}")
            with keeper or nullcontext():
                ended = self._execute(run, keeper)
            log_step(f"The run is {ended.status}. {ended.error or ended.note or ''}")
        if keeper is not None:
            keeper.store_end(ended)
            remove_checkpoints(self.registry)
        return ended

    def _execute(self, run: Run, keeper: Keeper | None) -> Run:
        _LOG.info("Training run %s.", run.id)  # the run's own log has the details
        self._run = run

        def load(report_progress: ReportProgress) -> tuple[Base, torch.dtype]:
            if keeper is not None:
                cache_gib = self.settings.limits.cache_gib
                fetch_images(self.registry, self.datasets, run, report_progress, limit_gib=cache_gib)
                keeper.fetch(report_progress)
            return self._base(run, report_progress)

        ended = execute(
            run,
            registry=self.registry,
            datasets=self.datasets,
            load=load,
            work=self.settings.work / run.id,
            terminate=self.terminate,
            max_seconds=self._max_minutes(run) * 60,
            tokens=self._tokens_of(run),
            hand_back=self._is_one_of_many,
            before_leaving=keeper.store if keeper is not None else lambda: None,
        )
        self._run = None
        _LOG.info("Run %s: %s. %s", run.id, ended.status, ended.error or ended.note or "")
        return ended

    def add_base(self, base: Base, dtype: torch.dtype) -> None:
        """Add a base that is already loaded."""
        self._bases[base.name] = (base, dtype)

    def _work_once(self, reaper: Reaper) -> bool:
        """Claim and execute one run; return False if none is queued or the registry cannot be used."""
        try:
            # Between two runs, a running run of this worker is one whose end was not recorded.
            reaper.reap(dead={self.id: self._unrecorded})
            self._unrecorded = None
            run = self.registry.runs.claim(self.id, node=self._node)
            if run is None:
                self._prepare(reaper)
                return False
            try:
                self.execute(run)
            except RegistryError as error:
                self._unrecorded = DISK_FULL if describe_failure(error)[0] == "disk" else UNRECORDED
                raise
        except RegistryError as error:
            _LOG.warning("%s The worker continues to watch the queue.", error)
            return False
        return True

    def _tokens_of(self, run: Run) -> TokenCache | None:
        """Return what the runs of a sweep share; other runs keep nothing."""
        if self._tokens is None or self._tokens[0] != run.group:
            self._tokens = None if run.group is None else (run.group, TokenCache())
        return None if self._tokens is None else self._tokens[1]

    def _prepare(self, reaper: Reaper) -> None:
        """Load what the run of a silent worker needs, because this worker may have to continue it soon."""
        if not self._is_one_of_many:
            return
        silent = reaper.silent_runs(living=[self.id])
        for run_id in silent:
            if run_id in self._prepared:
                continue
            self._prepared.add(run_id)  # once, also if it fails: the run itself reports what is wrong
            run = self.registry.runs.get(run_id)
            _LOG.info("Run %s is silent. This worker prepares for it.", run_id)
            try:
                self._base(run, _unreported)
                cache_gib = self.settings.limits.cache_gib
                fetch_images(self.registry, self.datasets, run, _unreported, limit_gib=cache_gib)
            except LoraVitError as error:
                _LOG.warning("Run %s cannot be prepared: %s", run_id, error)
        self._prepared.intersection_update(silent)

    @property
    def _is_one_of_many(self) -> bool:
        """Whether workers of other machines continue what this one has to leave."""
        return self.settings.executor != "local"

    def _max_minutes(self, run: Run) -> float:
        default = self.settings.limits.training_minutes
        if self.settings.mode == "demo" and is_guest(run.created_by):
            return min(default, self.settings.demo.minutes)
        return default

    def _base(self, run: Run, report_progress: ReportProgress) -> tuple[Base, torch.dtype]:
        name = run.base.name
        if name not in self._bases:
            loaded = run_with_progress(
                lambda report: self._loaded(name, report), report_progress, stage=f"Loading {name}"
            )
            self._bases = {name: loaded}
        base, dtype = self._bases[name]
        if base.weights_sha256 != run.base.weights_sha256:
            raise UnsupportedBase(
                f"The weights of {name} changed since the run was queued. Start the training again."
            )
        return base, dtype

    def _loaded(self, name: str, report_progress: ReportProgress) -> tuple[Base, torch.dtype]:
        base = find_base(self.registry, self._load, name, self.settings.bases, report_progress)
        device = chosen_device(self.settings.device)
        log_step(f"The base computes on {device.name}. {device.reason}")
        base = base.cast(torch.float32, device.torch)
        return base, remembered_dtype(base, RememberedChoices(self.settings.measurements))

    def _end_process(self) -> None:
        """Record that the run was interrupted and end the process, whatever the main thread is doing."""
        thread = threading.Thread(target=self._record_interruption, daemon=True)
        thread.start()
        thread.join(_RECORD_SECONDS)  # if even this hangs, a reaper marks the run later
        os._exit(1)

    def _record_interruption(self) -> None:
        run = self._run
        if run is None:
            return
        _LOG.warning("Run %s did not stop in time. The process ends now.", run.id)
        try:
            if self._is_one_of_many:
                self.registry.runs.hand_back(run.lease)
            else:
                self.registry.runs.finish(run.lease, "interrupted", error=STOPPED, error_kind="stopped")
        except (RunLost, DatabaseNotWritable) as error:
            _LOG.warning("%s", error)
