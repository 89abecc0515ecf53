"""A process that trains what the queue holds, one run after the other."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import torch

from loravit_web.backbones import Base, LoadBase, fastest_dtype, load_base
from loravit_web.backbones.base import UnsupportedBase
from loravit_web.datasets import DatasetStore
from loravit_web.settings import Settings
from loravit_web.training.runner import STALE_AFTER, execute
from registry import Registry, Run

POLL_SECONDS = 0.5
_LOG = logging.getLogger(__name__)


def worker_name(pid: int) -> str:
    """How the process with that id on this machine is called in the registry."""
    return f"{socket.gethostname()}:{pid}"


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

    def stop_on_signals(self) -> None:
        """On SIGTERM or Ctrl-C end within a step, leaving the run interrupted and resumable."""

        def stop(_signal: int, _frame: FrameType | None) -> None:
            self.terminate.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)

    def work(self, *, idle_exit: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Execute runs as they are queued, until asked to stop.

        Args:
            idle_exit: return after so many seconds without a run; never when None.
        """
        idle_since = clock()
        while not self.terminate.is_set():
            self.registry.runs.reap(stale_after=STALE_AFTER)
            run = self.registry.runs.claim(self.name)
            if run is not None:
                self.execute(run)
                idle_since = clock()
            elif idle_exit is not None and clock() - idle_since > idle_exit:
                return
            else:
                self.terminate.wait(POLL_SECONDS)

    def execute(self, run: Run) -> Run:
        """Train one claimed run to its end."""
        _LOG.info("Training %s (run %s).", run.slug, run.id)
        ended = execute(
            run,
            worker=self.name,
            registry=self.registry,
            datasets=self.datasets,
            load=lambda progress: self._base(run, progress),
            work=self.settings.work / run.id,
            terminate=self.terminate,
        )
        _LOG.info("Run %s: %s. %s", run.id, ended.status, ended.error or ended.note or "")
        return ended

    def use(self, base: Base, dtype: torch.dtype) -> None:
        """Take over a base that is already loaded."""
        self._bases[base.name] = (base, dtype)

    def _base(self, run: Run, progress: Callable[[float, str], None]) -> tuple[Base, torch.dtype]:
        name = run.base.name
        if name not in self._bases:
            base = self._load(name, self.settings.bases, progress)
            self._bases = {name: (base, fastest_dtype(base))}
        base, dtype = self._bases[name]
        if base.weights_sha256 != run.base.weights_sha256:
            raise UnsupportedBase(
                f"The weights of {name} are no longer those the run was queued for: start the training again."
            )
        return base, dtype
