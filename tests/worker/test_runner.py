"""A run always ends in a correct state, and only a completed one is in the catalog."""

from __future__ import annotations

import errno
import math
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import text

from loravit_web.adapters.files.first_answer import (
    ADAPTER_FILE,
    EVALUATION_FILE,
    FIRST_ANSWER_FILES,
    read_first_adapter,
    read_first_answer,
)
from loravit_web.adapters.files.format import from_files
from loravit_web.backbones import Base
from loravit_web.catalog.publishing import Origin, publish
from loravit_web.datasets import ImageDataset
from loravit_web.training import loop
from loravit_web.training.progress import TrainingStopped
from loravit_web.worker import runner, tracking
from loravit_web.worker.runner import STOPPED, sweep_first_answers, sweep_work
from loravit_web.worker.tracking import TrainingInterrupted
from registry import BlobNotStored, DatabaseNotWritable, Lease, Registry, StopRequest
from tests.adapters.makers import random_adapter
from tests.training.conftest import RECIPE, WORKER, Execute, Queue, quick


def test_a_completed_run_publishes_a_loadable_version_with_its_evaluation(
    registry: Registry, queue: Queue, carry_out: Execute, base: Base, tmp_path: Path
) -> None:
    run = queue(worker=WORKER)
    ended = carry_out(run)
    assert (ended.status, ended.error, ended.progress, ended.published) == (
        "completed",
        None,
        1.0,
        "colours@1",
    )
    assert ended.note is not None
    assert re.fullmatch(
        r"Published as colours@1 \(best epoch: \d of 2\)\. Leave-one-out validation: the probe predicts "
        r"\d+ of 24 training and validation images correctly \(95% CI \d+% to 100%\)\.",
        ended.note,
    )
    version = registry.catalog.resolve("colours")
    adapter = from_files(registry.catalog.read_files(version), base)
    assert version.class_names == adapter.class_names == ("green", "red")
    assert version.config == RECIPE.adapter.resolved(base).as_json()
    assert (version.run_id, version.image_size, version.title) == (run.id, 32, "Colours")
    series = registry.runs.metrics(run.id)
    assert [point.step for point in series["val_accuracy"]] == [1, 2]
    assert set(series) == {"linear_probe_accuracy", "train_loss", "val_loss", "val_accuracy", "lr"}
    measured = version.evaluation("validation")
    assert measured is not None
    assert (measured.n, measured.linear_probe_accuracy) == (6, series["linear_probe_accuracy"][0].value)
    assert measured.accuracy == max(point.value for point in series["val_accuracy"])
    tested = version.evaluation("test")
    assert tested is not None
    assert tested.n == 8
    assert not (tmp_path / "work" / run.id).exists()


def test_the_second_run_of_an_adapter_is_its_second_version(queue: Queue, carry_out: Execute) -> None:
    assert carry_out(queue(worker=WORKER)).published == "colours@1"
    assert carry_out(queue(worker=WORKER, recipe=replace(RECIPE, seed=1))).published == "colours@2"


def test_a_cancelled_run_ends_within_a_step_and_leaves_nothing(
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    after_step: Callable[..., list[int]],
    tmp_path: Path,
) -> None:
    run = queue(worker=WORKER)
    taken = after_step(4, lambda: registry.runs.request_stop(run.id, "cancel"))
    ended = carry_out(run)
    assert (ended.status, ended.error, ended.published) == ("cancelled", None, None)
    assert taken == [1, 2, 3, 4]
    assert registry.catalog.adapters() == []
    assert not (tmp_path / "work" / run.id).exists()


@pytest.mark.parametrize("stop", ["cancel", "keep"])
def test_a_run_has_a_first_answer_until_it_ends(
    stop: StopRequest,
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    after_step: Callable[..., list[int]],
    base: Base,
) -> None:
    run, stored = queue(worker=WORKER), {}

    def look() -> None:
        stored.update({name: registry.run_files.read(run.id, name) for name in FIRST_ANSWER_FILES})
        registry.runs.request_stop(run.id, stop)

    after_step(4, look)
    carry_out(run)
    answer = read_first_answer(stored[EVALUATION_FILE])
    assert (answer.n, answer.class_names) == (6, ("green", "red"))
    assert read_first_adapter(stored[ADAPTER_FILE], base).config.adapter_type == "PROBE"
    assert not {*registry.run_files.names(run.id)} & {*FIRST_ANSWER_FILES}


def test_a_run_continues_without_a_first_answer_if_the_store_refuses_it(
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = registry.run_files.put

    def put(run_id: str, path: str, data: bytes, *, lease: Lease) -> None:
        if path in FIRST_ANSWER_FILES:
            raise BlobNotStored("the store", "no space left")
        real(run_id, path, data, lease=lease)

    monkeypatch.setattr(registry.run_files, "put", put)
    run = queue(worker=WORKER)
    assert carry_out(run).status == "completed"
    assert f"Run {run.id} continues without a first answer" in caplog.text


def test_a_first_answer_that_cannot_be_removed_does_not_change_the_end_of_the_run(
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(_paths: object) -> int:
        raise DatabaseNotWritable("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(registry.maintenance, "remove_run_files", refuse)
        run = queue(worker=WORKER)
        assert carry_out(run).status == "completed"
    assert "First answers of ended runs remain stored" in caplog.text
    sweep_first_answers(registry)
    assert not {*registry.run_files.names(run.id)} & {*FIRST_ANSWER_FILES}


def test_a_run_stopped_and_kept_publishes_its_best_epoch(
    registry: Registry, queue: Queue, carry_out: Execute, after_step: Callable[..., list[int]]
) -> None:
    run = queue(worker=WORKER)
    taken = after_step(5, lambda: registry.runs.request_stop(run.id, "keep"))
    ended = carry_out(run)
    assert (ended.status, ended.published) == ("completed", "colours@1")
    assert ended.note is not None
    assert ended.note.startswith("Stopped on request. Published as colours@1 (best epoch: 1 of 1). ")
    assert len(taken) == 5


def test_a_run_above_its_time_limit_publishes_its_best_epoch(
    queue: Queue,
    carry_out: Execute,
    after_step: Callable[..., list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = after_step(5, lambda: monkeypatch.setattr(tracking.RunReporter, "overdue", True))
    ended = carry_out(queue(worker=WORKER), max_seconds=3600.0)
    assert (ended.status, ended.published) == ("completed", "colours@1")
    assert ended.note is not None
    assert ended.note.startswith(
        "The time limit for a training was reached. Published as colours@1 (best epoch: 1 of 1). "
    )
    assert len(taken) == 5


def test_a_run_above_its_time_limit_in_the_first_epoch_fails_with_a_remedy(
    registry: Registry, queue: Queue, carry_out: Execute
) -> None:
    ended = carry_out(queue(worker=WORKER), max_seconds=-1.0)
    assert (ended.status, ended.error_kind) == ("failed", "other")
    assert ended.error is not None
    assert "Use fewer images" in ended.error
    assert registry.catalog.adapters() == []


@pytest.mark.parametrize("damaged", [False, True], ids=["gone", "damaged"])
def test_a_run_with_a_missing_image_fails_with_its_name(
    damaged: bool, registry: Registry, queue: Queue, carry_out: Execute, dataset: ImageDataset
) -> None:
    gone = dataset.items[5]
    if damaged:
        dataset.image_path(gone).write_bytes(dataset.image_path(gone).read_bytes()[:100])
    else:
        dataset.image_path(gone).unlink()
    ended = carry_out(queue(worker=WORKER))
    assert (ended.status, ended.error_kind) == ("failed", "data")
    assert ended.error == (
        f"The stored copy of {gone.path} is missing or damaged. "
        "Import the images of colours again, then resume the run."
    )
    assert registry.catalog.adapters() == []


def test_a_run_that_diverges_fails_with_the_step(
    queue: Queue, carry_out: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.TrainingLoop, "_step", lambda *_: torch.tensor(math.nan))
    ended = carry_out(queue(worker=WORKER))
    assert (ended.status, ended.error, ended.error_kind) == (
        "failed",
        "The loss became NaN at step 1. Lower the learning rate and train again.",
        "diverged",
    )


def test_a_bug_fails_the_run_without_showing_internals(
    queue: Queue, carry_out: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> float:
        raise ZeroDivisionError("secret /path")

    monkeypatch.setattr(loop.TrainingLoop, "_step", bug)
    ended = carry_out(queue(worker=WORKER))
    assert ended.status == "failed"
    assert ended.error is not None
    assert "ZeroDivisionError" in ended.error
    assert "secret" not in ended.error


def test_an_interrupted_run_keeps_its_progress_and_completes_when_resumed(
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    after_step: Callable[..., list[int]],
    tmp_path: Path,
) -> None:
    run, terminate = queue(worker=WORKER), threading.Event()
    taken = after_step(5, terminate.set)
    ended = carry_out(run, terminate)
    assert (ended.status, ended.error, ended.error_kind) == ("interrupted", STOPPED, "stopped")
    assert len(taken) == 5
    assert registry.catalog.adapters() == []
    assert (tmp_path / "work" / run.id / "checkpoint.safetensors").exists()
    registry.runs.requeue(run.id)
    claimed = registry.runs.claim(WORKER)
    assert claimed is not None
    again = carry_out(claimed)
    assert (again.status, again.published, again.resumed) == ("completed", "colours@1", 1)
    assert len(taken) == 5 + 3  # only the second epoch is trained again


def test_a_failed_run_continues_from_its_checkpoint_when_resumed(
    registry: Registry, queue: Queue, carry_out: Execute, after_step: Callable[..., list[int]]
) -> None:
    def disk_full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = queue(worker=WORKER)
    taken = after_step(5, disk_full)
    failed = carry_out(run)
    assert (failed.status, failed.error, failed.error_kind) == (
        "failed",
        "The disk is full. Free some space and resume the run.",
        "disk",
    )
    registry.runs.requeue(run.id)
    claimed = registry.runs.claim(WORKER)
    assert claimed is not None
    assert carry_out(claimed).status == "completed"
    assert len(taken) == 5 + 3  # only the second epoch is trained again


def test_a_run_that_was_already_published_is_only_completed(
    registry: Registry, queue: Queue, carry_out: Execute, base: Base, after_step: Callable[..., list[int]]
) -> None:
    run = queue(worker=WORKER)
    origin = Origin("colours", "Colours", run.base_id, "training", run.id, run.dataset_id)
    publish(registry, random_adapter(base), base, origin)
    taken = after_step(99, lambda: None)
    ended = carry_out(registry.runs.get(run.id))
    assert (ended.status, ended.published, taken) == ("completed", "colours@1", [])
    assert ended.note == "Published as colours@1 before the training process ended."
    assert len(registry.catalog.versions("colours")) == 1


def test_a_published_run_is_not_completed_while_its_stored_files_are_damaged(
    registry: Registry, queue: Queue, carry_out: Execute, base: Base
) -> None:
    run = queue(worker=WORKER)
    origin = Origin("colours", "Colours", run.base_id, "training", run.id, run.dataset_id)
    version = publish(registry, random_adapter(base), base, origin)
    stored = registry.blobs.path(version.weights_sha256)
    stored.write_bytes(stored.read_bytes()[:-1])
    ended = carry_out(registry.runs.get(run.id))
    assert ended.status == "failed"
    assert stored.name in (ended.error or "")


def test_a_run_killed_after_publishing_is_completed_without_a_second_version(
    registry: Registry, queue: Queue, carry_out: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    run = queue(worker=WORKER)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(registry.runs, "finish", killed)
        carry_out(run)
    assert registry.runs.get(run.id).status == "running"
    registry.runs.reap(dead={WORKER: None})
    registry.runs.requeue(run.id)
    claimed = registry.runs.claim(WORKER)
    assert claimed is not None
    ended = carry_out(claimed)
    assert (ended.status, ended.published) == ("completed", "colours@1")
    assert len(registry.catalog.versions("colours")) == 1


def test_a_worker_that_lost_its_run_publishes_nothing(
    registry: Registry, queue: Queue, carry_out: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runner.publish

    def asleep(*args: Any, **named: Any) -> Any:
        registry.runs.reap(dead={WORKER: None})
        registry.runs.requeue(run.id)
        registry.runs.claim("another:2")
        return real(*args, **named)

    monkeypatch.setattr(runner, "publish", asleep)
    run = queue(worker=WORKER)
    ended = carry_out(run)
    assert (ended.status, ended.worker) == ("running", "another:2")
    assert registry.catalog.adapters() == []


@pytest.mark.parametrize("refusals", [1, 3])
def test_a_short_database_outage_loses_neither_the_training_nor_metrics(
    refusals: int, registry: Registry, queue: Queue, carry_out: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(tracking, "HEARTBEAT_SECONDS", 0.01)
    for place, name in (
        (registry.runs, "record_heartbeat"),
        (registry.runs, "log_metrics"),
        (registry.catalog, "publish"),
        (registry.runs, "finish"),
    ):
        monkeypatch.setattr(place, name, refusing(getattr(place, name), refusals))
    ended = carry_out(queue(worker=WORKER))
    assert (ended.status, ended.published) == ("completed", "colours@1")
    assert [p.step for p in registry.runs.metrics(ended.id)["val_accuracy"]] == [1, 2]
    assert len(registry.catalog.versions("colours")) == 1


def refusing(real: Callable[..., Any], refusals: int) -> Callable[..., Any]:
    """Return the function, which first fails a number of times."""
    left = iter(range(refusals))

    def write(*args: Any, **values: Any) -> Any:
        if next(left, None) is not None:
            raise DatabaseNotWritable("database is locked")
        return real(*args, **values)

    return write


def test_metrics_recorded_after_the_checkpoint_are_removed_on_resume(
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    after_step: Callable[..., list[int]],
    tmp_path: Path,
) -> None:
    run, terminate = queue(worker=WORKER, recipe=quick(epochs=4)), threading.Event()
    after_step(8, terminate.set)
    carry_out(run, terminate)
    before = registry.runs.metrics(run.id)["val_loss"]
    assert [point.step for point in before] == [1, 2]
    (tmp_path / "work" / run.id / "checkpoint.safetensors").unlink()
    registry.runs.requeue(run.id)
    claimed = registry.runs.claim(WORKER)
    assert claimed is not None
    stop = threading.Event()
    after_step(9, stop.set)
    carry_out(claimed, stop)
    assert "val_loss" not in registry.runs.metrics(run.id)


def test_metrics_lost_in_a_crash_are_recorded_again_from_the_checkpoint(
    registry: Registry, queue: Queue, carry_out: Execute, after_step: Callable[..., list[int]]
) -> None:
    run, terminate = queue(worker=WORKER, recipe=quick(epochs=4)), threading.Event()
    after_step(8, terminate.set)
    carry_out(run, terminate)
    before = registry.runs.metrics(run.id)["val_loss"]
    registry.runs.requeue(run.id)
    claimed = registry.runs.claim(WORKER)
    assert claimed is not None
    registry.runs.rewind(claimed.lease, 1)
    ended = carry_out(claimed)
    assert ended.status == "completed"
    assert [point.step for point in registry.runs.metrics(run.id)["val_loss"]] == [1, 2, 3, 4]
    assert registry.runs.metrics(run.id)["val_loss"][:2] == before


def test_the_folder_of_a_run_killed_at_its_end_is_removed(
    registry: Registry, queue: Queue, tmp_path: Path
) -> None:
    ended, going, foreign = queue(worker=WORKER), queue(worker=WORKER), "f" * 32
    registry.runs.finish(ended.lease, "completed")
    for name in (ended.id, going.id, foreign, "notes"):
        (tmp_path / "work" / name).mkdir(parents=True)
    sweep_work(registry, tmp_path / "work")
    assert {path.name for path in (tmp_path / "work").iterdir()} == {going.id, foreign, "notes"}


def test_a_run_missing_after_a_restore_does_not_stop_the_worker(
    registry: Registry, queue: Queue, carry_out: Execute, after_step: Callable[..., list[int]]
) -> None:
    run = queue(worker=WORKER)

    def restored() -> None:
        with registry._database.writing() as session:
            for table in ("run_params", "run_metrics", "run_summary", "run_files"):
                session.execute(text(f"DELETE FROM {table}"))
            session.execute(text("DELETE FROM runs"))

    after_step(2, restored)
    ended = carry_out(run)
    assert (ended.status, ended.error_kind) == ("interrupted", "lost")
    assert "no longer exists in the registry" in (ended.error or "")


def test_a_run_taken_from_the_worker_is_not_changed(
    registry: Registry, queue: Queue, carry_out: Execute, after_step: Callable[..., list[int]]
) -> None:
    run = queue(worker=WORKER)
    after_step(2, lambda: registry.runs.reap(dead={WORKER: None}))
    ended = carry_out(run)
    assert ended.status == "interrupted"
    assert registry.catalog.adapters() == []


@pytest.mark.parametrize("end", [ValueError("a bug"), TrainingStopped(), TrainingInterrupted()], ids=repr)
def test_a_run_taken_just_before_its_end_does_not_stop_the_worker(
    end: Exception,
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    after_step: Callable[..., list[int]],
    tmp_path: Path,
) -> None:
    run = queue(worker=WORKER)

    def taken_away() -> None:
        registry.runs.reap(dead={WORKER: None})
        raise end

    after_step(4, taken_away)
    ended = carry_out(run)
    assert (ended.status, ended.error) == ("interrupted", registry.runs.get(run.id).error)
    assert (
        tmp_path / "work" / run.id / "checkpoint.safetensors"
    ).exists()  # it belongs to another worker now


def test_a_finished_run_leaves_no_thread(queue: Queue, carry_out: Execute) -> None:
    carry_out(queue(worker=WORKER, recipe=quick(epochs=1)))
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_a_run_waits_for_an_unavailable_registry_before_publishing(
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(tracking, "_PAUSE_SECONDS", 0.01)
    file, away = tmp_path / "registry.db", tmp_path / "away.db"
    run, publish, tries = queue(worker=WORKER), registry.catalog.publish, []

    def publish_meanwhile(*args: Any, **values: Any) -> Any:
        tries.append(file.exists())
        if len(tries) == 1:
            file.rename(away)
        elif len(tries) == 3:
            away.rename(file)
        return publish(*args, **values)

    monkeypatch.setattr(registry.catalog, "publish", publish_meanwhile)
    ended = carry_out(run)
    assert (ended.status, ended.published) == ("completed", "colours@1")
    assert tries[:3] == [True, False, False]
    assert len(registry.catalog.versions("colours")) == 1
