"""Execution of one run from the registry, from its claim to its final state."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from loravit_web.adapters.files.first_answer import FIRST_ANSWER_FILES
from loravit_web.adapters.files.thumbnail import contact_sheet
from loravit_web.backbones.base import Base
from loravit_web.catalog.earlier import compare_unpublished, lower_text, meant_by_name
from loravit_web.catalog.publishing import Origin, publish, reopen
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.errors import LoraVitError
from loravit_web.training.checkpoints import CheckpointError
from loravit_web.training.data import examples, split_data
from loravit_web.training.files.predictions import PREDICTIONS, write_predictions
from loravit_web.training.files.suspects import SUSPECTS, write_suspects
from loravit_web.training.heads.probe import LeaveOneOut
from loravit_web.training.prefix import StoredImageUnusable, compute_prefix_tokens
from loravit_web.training.progress import TrainingStopped
from loravit_web.training.recipe import Recipe
from loravit_web.training.trainer import Trained, train
from loravit_web.util.intervals import interval_95
from loravit_web.util.uninterruptible import ReportProgress
from loravit_web.worker.failures import describe_failure
from loravit_web.worker.sweeps import Contest, not_published
from loravit_web.worker.token_cache import TokenCache
from loravit_web.worker.tracking import RunReporter, TrainingInterrupted, retry_writes
from registry import (
    DEFAULT_ALIAS,
    EndStatus,
    ErrorKind,
    Registry,
    RegistryError,
    Run,
    RunLost,
    UnknownRun,
    Version,
)

TOO_LONG = (
    "The time limit for a training was reached before its first epoch ended. Use fewer images or a smaller "
    "image size, or raise LORAVIT_MAX_TRAINING_MINUTES (in a demo LORAVIT_DEMO_MINUTES)."
)
FEW_IMAGES = 500
"""Number of training and validation images from which the validation images alone are enough."""
LoadForRun = Callable[[ReportProgress], tuple[Base, torch.dtype]]
STOPPED = "The training process was stopped before the end. Resume the run to continue."
RUN_MISSING = (
    "The run no longer exists in the registry, for example after a restored backup. Start the training again."
)
_LOG = logging.getLogger(__name__)


class TrainingTooLong(LoraVitError):
    """A training that reached its time limit before there was anything to keep."""


@dataclass(frozen=True)
class _Outcome:
    """How a run ended; ``unresumable`` if it cannot continue from its checkpoint."""

    status: EndStatus
    error: str | None = None
    kind: ErrorKind | None = None
    note: str | None = None
    unresumable: bool = False


def execute(
    run: Run,
    *,
    registry: Registry,
    datasets: DatasetStore,
    load: LoadForRun,
    work: Path,
    terminate: threading.Event,
    max_seconds: float | None = None,
    tokens: TokenCache | None = None,
    hand_back: bool = False,
    before_leaving: Callable[[], object] = lambda: None,
) -> Run:
    """Train a claimed run, publish its adapter and record how it ended, all under its lease.

    The run always ends in a correct final state unless the process is killed; then its heartbeats stop and a
    reaper marks it as interrupted. If the run was taken from this worker, neither its rows nor its folder are
    changed any more.

    Args:
        run: The claimed run.
        registry: Registry with the run.
        datasets: Store of the run's dataset.
        load: Returns the run's base in float32 and the precision to compute in; its argument reports
            progress.
        work: Folder of this run; kept unless the run is completed, cancelled, or failed because of its
            content.
        terminate: Event that is set if the process should end soon.
        max_seconds: Seconds after which the training ends with the best epoch so far.
        tokens: Prefix tokens that other runs share, or None.
        hand_back: Whether to queue the run again if the process has to end, so that another worker continues.
        before_leaving: Called before a run that can be resumed is recorded as ended.

    Returns:
        The run in its final state.

    Raises:
        DatabaseNotWritable: If the end cannot be recorded.
    """
    try:
        with RunReporter(registry, run.lease, terminate, max_seconds=max_seconds) as reporter:
            outcome = _outcome(run, lambda: _carry_out(run, registry, datasets, load, work, reporter, tokens))
            if outcome.status in ("interrupted", "failed"):
                before_leaving()
            ended = retry_writes(lambda: _record(registry, run, outcome, reporter, hand_back), terminate)
    except RunLost:
        _LOG.warning("Run %s no longer belongs to this worker. It is not changed.", run.id)
        return _current_state(registry, run)
    sweep_first_answers(registry)
    if outcome.status in ("completed", "cancelled") or outcome.unresumable:
        shutil.rmtree(work, ignore_errors=True)  # the next worker removes what remains
    else:
        for kept in work.glob("*.tokens"):  # large, and computed again on resume
            kept.unlink()
    return ended


def sweep_work(registry: Registry, folder: Path) -> None:
    """Remove the folders of runs whose worker was killed between their end and the removal."""
    for work in folder.glob("[0-9a-f]" * 32):
        try:
            status = registry.runs.get(work.name).status
        except UnknownRun:  # of another registry, as after a change of the database URL
            continue
        if status == "completed":
            shutil.rmtree(work, ignore_errors=True)


def sweep_first_answers(registry: Registry) -> None:
    """Remove the first answers of runs that have ended. The next call removes what this one cannot."""
    try:
        registry.maintenance.remove_run_files(FIRST_ANSWER_FILES)
    except RegistryError as error:
        _LOG.warning("First answers of ended runs remain stored: %s", error)


def _outcome(run: Run, carry_out: Callable[[], str]) -> _Outcome:
    try:
        return _Outcome("completed", note=carry_out())
    except TrainingStopped as stopped:
        return _Outcome("cancelled", note=str(stopped) or None)
    except TrainingInterrupted:
        return _Outcome("interrupted", STOPPED, "stopped")
    except RunLost:
        raise
    except Exception as error:  # noqa: BLE001 - every end of a run is recorded
        _LOG.exception("Run %s failed.", run.id)
        kind, sentence = describe_failure(error)
        return _Outcome("failed", sentence, kind, unresumable=isinstance(error, CheckpointError))


def _record(registry: Registry, run: Run, outcome: _Outcome, reporter: RunReporter, hand_back: bool) -> Run:
    reporter.flush()
    if hand_back and outcome.status == "interrupted":
        return registry.runs.hand_back(run.lease)
    return registry.runs.finish(
        run.lease, outcome.status, error=outcome.error, error_kind=outcome.kind, note=outcome.note
    )


def _current_state(registry: Registry, run: Run) -> Run:
    try:
        return registry.runs.get(run.id)
    except UnknownRun:
        return replace(run, status="interrupted", error=RUN_MISSING, error_kind="lost")


def _carry_out(
    run: Run,
    registry: Registry,
    datasets: DatasetStore,
    load: LoadForRun,
    work: Path,
    reporter: RunReporter,
    tokens: TokenCache | None,
) -> str:
    """Train and publish; return a note for users."""
    reporter.report("Starting", 0.0)
    base, dtype = load(lambda _fraction, stage: reporter.report(stage, 0.0))
    if run.published is not None:  # the worker was killed between publishing and recording it
        reporter.report("Checking the published version", 0.99)
        published = run.published
        reporter.retry_writes(lambda: reopen(registry, published, base))
        return f"Published as {published} before the training process ended."
    dataset = datasets.imported_by(run.created_by).load(run.dataset.fingerprint)
    recipe = Recipe.from_json(run.config)
    data = split_data(dataset, recipe)
    contest = None
    if run.group is not None:
        contest = Contest(registry, run, len(data.train))
        reporter.after_epoch = contest.check
    try:
        compute = compute_prefix_tokens if tokens is None else tokens.compute
        trained = train(base, dtype, data, recipe, work=work, reporter=reporter, compute=compute)
    except StoredImageUnusable as error:
        raise _with_user_path(error, dataset) from error
    except TrainingStopped as stopped:
        if reporter.overdue:
            raise TrainingTooLong(TOO_LONG) from stopped
        raise
    late = trained.kept_early and reporter.overdue
    reporter.report("Publishing", 0.99)
    if contest is not None:
        better = reporter.retry_writes(partial(contest.better, trained.validation))
        if better is not None:
            return not_published(better, trained.validation)
    files = {PREDICTIONS: write_predictions(trained.predictions)}
    if trained.suspects is not None:
        files[SUSPECTS] = write_suspects(trained.suspects)
    for name, content in files.items():
        reporter.retry_writes(partial(registry.run_files.put, run.id, name, content, lease=run.lease))
    origin = Origin(
        name=run.slug,
        title=run.title,
        base_id=run.base_id,
        actor=run.created_by,
        run_id=run.id,
        dataset_id=run.dataset_id,
        lease=run.lease,
    )
    thumbnail = contact_sheet(examples(data))
    # before the new version is there, so that it never replaces a better one
    kept = reporter.retry_writes(lambda: _keep_better(registry, run, trained))
    version = reporter.retry_writes(
        lambda: publish(registry, trained.adapter, base, origin, data=dataset.name, thumbnail=thumbnail)
    )
    if not kept:
        reporter.retry_writes(lambda: _follow_newest(registry, run, version))
    if contest is not None:
        reporter.retry_writes(partial(contest.lead, version))
    told = [_ending(trained, version, late), kept, _left_out(trained.left_out), data.note]
    return " ".join(filter(None, told))


def _keep_better(registry: Registry, run: Run, trained: Trained) -> str:
    """Keep the version that the name of the adapter means if the new one is worse; return why, or nothing."""
    earlier = meant_by_name(registry, run.slug)
    if earlier is None:
        return ""
    metrics = trained.adapter.summary.get("metrics") or {}
    compared = compare_unpublished(registry, metrics, trained.predictions, earlier)
    if compared is None or not compared.is_worse:
        return ""
    registry.aliases.promote(
        earlier.ref, DEFAULT_ALIAS, actor=run.created_by, allow_protected=True, lease=run.lease
    )
    return f"Version {earlier.version} stays the default: the new version is {lower_text(compared)}."


def _follow_newest(registry: Registry, run: Run, version: Version) -> None:
    """Make the name of the adapter mean its newest version again, unless the default is protected."""
    for alias in registry.aliases.list(version.slug):
        if alias.alias == DEFAULT_ALIAS and not alias.protected:
            registry.aliases.remove(version.slug, DEFAULT_ALIAS, actor=run.created_by, lease=run.lease)


def _with_user_path(error: StoredImageUnusable, dataset: ImageDataset) -> DatasetDamaged:
    """Return the error with the name under which the user knows the image."""
    names = [item.path for item in dataset.items if dataset.image_path(item) == error.path]
    return DatasetDamaged(
        f"The stored copy of {names[0] if names else error.path.name} is missing or damaged. "
        f"Import the images of {dataset.name} again, then resume the run."
    )


def _ending(trained: Trained, version: Version, late: bool) -> str:
    reason = "The time limit for a training was reached. " if late else "Stopped on request. "
    stopped = reason if trained.kept_early else ""
    if trained.kept == "probe":
        return f"{stopped}Published the probe as {version.ref}{_why_probe(trained)}."
    epochs = f" (best epoch: {trained.best_epoch} of {trained.epochs})" if trained.epochs else ""
    return f"{stopped}Published as {version.ref}{epochs}."


def _left_out(validated: LeaveOneOut | None) -> str:
    """Return a more certain accuracy than that of few validation images; empty with many images."""
    if validated is None or validated.images >= FEW_IMAGES:
        return ""
    low, high = interval_95(validated.correct, validated.images)
    return (
        f"Leave-one-out validation: the probe predicts {validated.correct} of {validated.images} training "
        f"and validation images correctly (95% CI {low:.0%} to {high:.0%})."
    )


def _why_probe(trained: Trained) -> str:
    if trained.lead is None:
        return ", because no epoch was completed"
    if round(trained.lead.mean, 3) == 0:
        return ", because it predicts the validation images as well as the trained adapter, and is smaller"
    return (
        ", because it predicts the validation images better than the trained adapter (log loss lower by "
        f"{-trained.lead.mean:.3f} ± {trained.lead.standard_error:.3f})"
    )
