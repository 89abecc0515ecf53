"""One run from the registry, from its claim to its true end."""

from __future__ import annotations

import errno
import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import torch

from loravit_web.backbones.base import Base
from loravit_web.datasets import DatasetStore
from loravit_web.errors import LoraVitError
from loravit_web.training.checkpoints import CheckpointError
from loravit_web.training.data import split_data
from loravit_web.training.predictions import PREDICTIONS, write_predictions
from loravit_web.training.progress import TrainingStopped
from loravit_web.training.publishing import Origin, publish
from loravit_web.training.recipe import Recipe
from loravit_web.training.trainer import Trained, TrainingDiverged, train
from registry import EndStatus, Registry, RegistryError, Run, RunLost, Version

HEARTBEAT_SECONDS = 5.0
STALE_AFTER = timedelta(seconds=30)
"""A run whose heart has not beaten for so long has lost its process."""

LoadForRun = Callable[[Callable[[float, str], None]], tuple[Base, torch.dtype]]
_LOG = logging.getLogger(__name__)


class TrainingInterrupted(Exception):
    """The process is asked to end; the run can be resumed."""


def execute(
    run: Run,
    *,
    worker: str,
    registry: Registry,
    datasets: DatasetStore,
    load: LoadForRun,
    work: Path,
    terminate: threading.Event,
) -> Run:
    """Train a claimed run, publish its adapter and record how it ended.

    Whatever happens, the run is left in a true final state, unless the process is killed; then its
    heartbeat stops and a reaper marks it as interrupted.

    Args:
        load: gives the base that the run asks for, in float32, and the precision to compute in; told
            where to report progress.
        work: a folder of this run's own; kept unless the run is completed, cancelled, or failed for a
            reason that going on would meet again.
        terminate: set when the process should end soon.
    """
    if run.published is not None:  # killed between publishing and recording it
        return end(registry, run, worker, "completed")
    hopeless = False
    try:
        with RunReporter(registry, run.id, worker, terminate) as reporter:
            base, dtype = load(lambda _fraction, stage: reporter.report(stage, 0.0))
            note = _train_and_publish(run, registry, datasets, base, dtype, work, reporter)
        ended = end(registry, run, worker, "completed", note=note)
    except TrainingStopped:
        ended = end(registry, run, worker, "cancelled")
    except (TrainingInterrupted, RunLost):
        ended = end(registry, run, worker, "interrupted", error="The training process was stopped.")
    except Exception as error:  # noqa: BLE001 - the last line of a worker: every end is recorded
        _LOG.exception("Run %s failed.", run.id)
        ended = end(registry, run, worker, "failed", error=reason_of(error))
        hopeless = isinstance(error, TrainingDiverged | CheckpointError)
    if ended.status in ("completed", "cancelled") or (ended.status == "failed" and hopeless):
        shutil.rmtree(work, ignore_errors=True)
    else:
        for tokens in work.glob("*.tokens"):  # large, and computed anew
            tokens.unlink()
    return ended


def end(
    registry: Registry,
    run: Run,
    worker: str,
    status: EndStatus,
    *,
    error: str | None = None,
    note: str | None = None,
) -> Run:
    """Record how a run ended; one that was meanwhile taken from this worker is left as it is."""
    try:
        return registry.runs.finish(run.id, worker, status, error=error, note=note)
    except RunLost:
        _LOG.warning("Run %s is no longer this worker's; it is left alone.", run.id)
        return registry.runs.get(run.id)


def reason_of(error: Exception) -> str:
    """One sentence for the person who started the run."""
    if isinstance(error, LoraVitError | RegistryError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full: free some space and resume the run."
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "The memory is full: choose a smaller image size or batch size and start the training again."
    return f"The training hit an unexpected error ({type(error).__name__}): the worker's log has the details."


def _train_and_publish(
    run: Run,
    registry: Registry,
    datasets: DatasetStore,
    base: Base,
    dtype: torch.dtype,
    work: Path,
    reporter: RunReporter,
) -> str:
    dataset = datasets.load(run.dataset.fingerprint)
    recipe = Recipe.from_json(run.config)
    data = split_data(dataset, recipe)
    trained = train(base, dtype, data, recipe, work=work, reporter=reporter)
    reporter.report("Publishing", 0.99)
    registry.run_files.put(run.id, PREDICTIONS, write_predictions(trained.predictions))
    origin = Origin(run.slug, run.title, run.base_id, run.created_by, run.id, run.dataset_id)
    version = publish(registry, trained.adapter, base, origin)
    return " ".join(filter(None, [_ending(trained, version), data.note]))


def _ending(trained: Trained, version: Version) -> str:
    stopped = "Stopped on request; kept" if trained.kept_early else "Kept"
    return f"{stopped} epoch {trained.best_epoch} of {trained.epochs} as {version.ref}."


class RunReporter:
    """A `Reporter` that writes into the registry and keeps the run's heart beating.

    Raises from `report`: `TrainingStopped`, `TrainingInterrupted`, `RunLost`.
    """

    def __init__(
        self,
        registry: Registry,
        run_id: str,
        worker: str,
        terminate: threading.Event,
        *,
        clock: Callable[[], float] = time.monotonic,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._runs, self._run_id, self._worker = registry.runs, run_id, worker
        self._terminate, self._clock, self._interval = terminate, clock, heartbeat_seconds
        self._keep = False
        self._started = clock()
        self._first: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> RunReporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, stage: str, fraction: float) -> None:
        """See `Reporter`."""
        if self._terminate.is_set():
            raise TrainingInterrupted
        request = self._runs.beat(
            self._run_id,
            self._worker,
            stage=stage,
            progress=fraction,
            eta_seconds=self._remaining(fraction),
        )
        if request == "cancel":
            raise TrainingStopped
        self._keep = request == "keep"

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """See `Reporter`."""
        self._runs.log_metrics(self._run_id, epoch, values)

    def stop_and_keep(self) -> bool:
        """See `Reporter`."""
        return self._keep

    def _remaining(self, fraction: float) -> float | None:
        """Seconds to go at the pace since the first report; None until that says something."""
        if self._first is None:
            self._first, self._started = fraction, self._clock()
        done = fraction - self._first
        if done < 0.02:
            return None
        return (self._clock() - self._started) * (1 - fraction) / done

    def _beat(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                self._runs.beat(self._run_id, self._worker)
            except RunLost:
                return  # the training thread meets the same error at its next report
            except Exception:  # noqa: BLE001 - a missed beat is no reason to stop beating
                _LOG.exception("The heartbeat of run %s could not be written; trying again.", self._run_id)
