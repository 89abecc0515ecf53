"""What the processes of `tests/worker/test_nodes.py` do: workers of several machines, with short times."""

from __future__ import annotations

import logging
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from benchmarks.faults import chaos_jobs
from benchmarks.faults.chaos_jobs import tiny_base
from loravit_web.datasets import DatasetStore
from loravit_web.settings.environment import Settings
from loravit_web.training import loop
from loravit_web.worker import keeping, reaper, tracking
from loravit_web.worker.worker import Worker
from registry import Registry


def warm_up() -> None:
    """Import and build what every process needs."""
    chaos_jobs.warm_up()


def settings_of(home: Path, url: str, artifacts: str) -> Settings:
    """Return the settings of a machine with a home of its own."""
    return Settings(
        home=home, base="tiny", database=url, artifact_url=artifacts, executor="workers"
    ).ensure_home()


def train(*, home: str, url: str, artifacts: str, environ: dict[str, str], beat: float, pause: float) -> None:
    """A worker of a machine with a home of its own, whose id is the name of its home.

    Args:
        environ: more environment variables.
        beat: seconds between two heartbeats; all other times are in proportion.
        pause: seconds that each step of a training takes longer.
    """
    os.environ.update(environ)
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.WARNING, force=True)
    _shorten(beat)
    _slow_down(pause)
    settings = settings_of(Path(home), url, artifacts)
    with Registry.open(settings.database_url, settings.artifacts, cache=settings.artifact_cache) as registry:
        store = DatasetStore(settings.datasets, workers=1)
        worker = Worker(settings, registry, store, worker_id=Path(home).name)
        worker.add_base(tiny_base(), torch.float32)
        with worker.stopping_on_signals():
            worker.work(idle_exit=20 * beat)


def _shorten(beat: float) -> None:
    times: Any = reaper
    times.STALE_AFTER, times.CONFIRM_SECONDS = timedelta(seconds=6 * beat), 4 * beat
    times._MAX_GAP_SECONDS = 4 * beat
    reporter: Any = tracking.RunReporter.__init__
    reporter.__kwdefaults__["heartbeat_seconds"] = beat
    keeper: Any = keeping.Keeper.__init__
    keeper.__kwdefaults__["interval"] = beat / 5


def _slow_down(pause: float) -> None:
    training: Any = loop.TrainingLoop
    real = training._step

    def step(self: Any, *args: Any) -> Any:
        time.sleep(pause)
        return real(self, *args)

    training._step = step
