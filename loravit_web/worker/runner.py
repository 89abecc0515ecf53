"""One run from the registry, from its claim to its true end."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from loravit_web.adapters.files.thumbnail import contact_sheet
from loravit_web.backbones.base import Base
from loravit_web.catalog.publishing import Origin, publish, reopen
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.errors import LoraVitError
from loravit_web.training.checkpoints import CheckpointError
from loravit_web.training.data import examples, split_data
from loravit_web.training.predictions import PREDICTIONS, write_predictions
from loravit_web.training.prefix import StoredImageUnusable
from loravit_web.training.progress import TrainingStopped
from loravit_web.training.recipe import Recipe
from loravit_web.training.trainer import Trained, train
from loravit_web.util.attended import Tell
from loravit_web.worker.causes import cause_of
from loravit_web.worker.tracking import RunReporter, TrainingInterrupted, patiently
from registry import (
    EndStatus,
    ErrorKind,
    Registry,
    Run,
    RunLost,
    UnknownRun,
    Version,
)

TOO_LONG = (
    "The time a training may take here was over before its first epoch: use fewer images or a smaller image "
    "size, or let LORAVIT_MAX_TRAINING_MINUTES (in a demo LORAVIT_DEMO_MINUTES) be raised."
)
LoadForRun = Callable[[Tell], tuple[Base, torch.dtype]]
STOPPED = "The training process was stopped before the end; resume the run to go on."
DELETED = "The registry has no such run any more, as after a restored backup; start the training again."
_LOG = logging.getLogger(__name__)


class TrainingTooLong(LoraVitError):
    """The time was over before there was anything to keep."""


@dataclass(frozen=True)
class _Outcome:
    """How a run ended; ``hopeless`` when its checkpoint can't be gone on from."""

    status: EndStatus
    error: str | None = None
    kind: ErrorKind | None = None
    note: str | None = None
    hopeless: bool = False


def execute(
    run: Run,
    *,
    worker: str,
    registry: Registry,
    datasets: DatasetStore,
    load: LoadForRun,
    work: Path,
    terminate: threading.Event,
    longest: float | None = None,
) -> Run:
    """Train a claimed run, publish its adapter and record how it ended.

    Whatever happens, the run is left in a true final state, unless the process is killed; then its
    heartbeat stops and a reaper marks it as interrupted. A run that was taken from this worker is let go of:
    neither its rows nor its folder are touched any more.

    Args:
        load: gives the base that the run asks for, in float32, and the precision to compute in; told
            where to report progress.
        work: a folder of this run's own; kept unless the run is completed, cancelled, or failed because of
            what is in it.
        terminate: set when the process should end soon.
        longest: seconds after which the training ends with the best so far.

    Raises:
        DatabaseNotWritable: if the end can't be recorded.
    """
    try:
        with RunReporter(registry, run.id, worker, terminate, longest=longest) as reporter:
            outcome = _outcome(run, lambda: _carry_out(run, worker, registry, datasets, load, work, reporter))
            ended = patiently(lambda: _record(registry, run, worker, outcome, reporter), terminate)
    except RunLost:
        _LOG.warning("Run %s is no longer this worker's; it is left alone.", run.id)
        return _as_it_is(registry, run)
    if outcome.status in ("completed", "cancelled") or outcome.hopeless:
        shutil.rmtree(work, ignore_errors=True)  # what stays is swept when a worker starts
    else:
        for tokens in work.glob("*.tokens"):  # large, and computed anew
            tokens.unlink()
    return ended


def sweep_work(registry: Registry, folder: Path) -> None:
    """Remove the folders of runs that were killed between their end and the removal."""
    for work in folder.glob("[0-9a-f]" * 32):
        try:
            status = registry.runs.get(work.name).status
        except UnknownRun:  # another registry's, as after a change of the database's address
            continue
        if status == "completed":
            shutil.rmtree(work, ignore_errors=True)


def _outcome(run: Run, carry_out: Callable[[], str]) -> _Outcome:
    try:
        return _Outcome("completed", note=carry_out())
    except TrainingStopped as stopped:
        return _Outcome("cancelled", note=str(stopped) or None)
    except TrainingInterrupted:
        return _Outcome("interrupted", STOPPED, "stopped")
    except RunLost:
        raise
    except Exception as error:  # noqa: BLE001 - the last line of a worker: every end is recorded
        _LOG.exception("Run %s failed.", run.id)
        kind, sentence = cause_of(error)
        return _Outcome("failed", sentence, kind, hopeless=isinstance(error, CheckpointError))


def _record(registry: Registry, run: Run, worker: str, outcome: _Outcome, reporter: RunReporter) -> Run:
    reporter.flush()
    return registry.runs.finish(
        run.id, worker, outcome.status, error=outcome.error, error_kind=outcome.kind, note=outcome.note
    )


def _as_it_is(registry: Registry, run: Run) -> Run:
    try:
        return registry.runs.get(run.id)
    except UnknownRun:
        return replace(run, status="interrupted", error=DELETED, error_kind="lost")


def _carry_out(
    run: Run,
    worker: str,
    registry: Registry,
    datasets: DatasetStore,
    load: LoadForRun,
    work: Path,
    reporter: RunReporter,
) -> str:
    """Train and publish; returns a note for people."""
    reporter.report("Starting", 0.0)
    base, dtype = load(lambda _fraction, stage: reporter.report(stage, 0.0))
    if run.published is not None:  # killed between publishing and recording it
        reporter.report("Reading back what was published", 0.99)
        published = run.published
        reporter.patiently(lambda: reopen(registry, published, base))
        return f"Published as {published} before the training process ended."
    dataset = datasets.load(run.dataset.fingerprint)
    recipe = Recipe.from_json(run.config)
    data = split_data(dataset, recipe)
    try:
        trained = train(base, dtype, data, recipe, work=work, reporter=reporter)
    except StoredImageUnusable as error:
        raise _named(error, dataset) from error
    except TrainingStopped as stopped:
        if reporter.overdue:
            raise TrainingTooLong(TOO_LONG) from stopped
        raise
    late = trained.kept_early and reporter.overdue
    reporter.report("Publishing", 0.99)
    predictions = write_predictions(trained.predictions)
    reporter.patiently(lambda: registry.run_files.put(run.id, PREDICTIONS, predictions))
    origin = Origin(
        name=run.slug,
        title=run.title,
        base_id=run.base_id,
        actor=run.created_by,
        run_id=run.id,
        dataset_id=run.dataset_id,
        worker=worker,
    )
    thumbnail = contact_sheet(examples(data))
    version = reporter.patiently(
        lambda: publish(registry, trained.adapter, base, origin, data=dataset.name, thumbnail=thumbnail)
    )
    return " ".join(filter(None, [_ending(trained, version, late), data.note]))


def _named(error: StoredImageUnusable, dataset: ImageDataset) -> DatasetDamaged:
    """The same by the name under which the user knows the image."""
    names = [item.path for item in dataset.items if dataset.image_path(item) == error.path]
    return DatasetDamaged(
        f"The stored copy of {names[0] if names else error.path.name} is missing or damaged: "
        f"import the images of {dataset.name} again, then resume the run."
    )


def _ending(trained: Trained, version: Version, late: bool) -> str:
    why = "The time a training may take here was over" if late else "Stopped on request"
    stopped = f"{why}; kept" if trained.kept_early else "Kept"
    return f"{stopped} epoch {trained.best_epoch} of {trained.epochs} as {version.ref}."
