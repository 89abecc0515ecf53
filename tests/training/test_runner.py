"""A run always ends in the truth, and only a completed one is in the catalog."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from loravit_web.adapters.format import from_files
from loravit_web.backbones import Base
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.datasets import ImageDataset
from loravit_web.training import runner, supervisor, trainer
from loravit_web.training.progress import TrainingStopped
from loravit_web.training.publishing import Origin, publish
from loravit_web.training.runner import RunReporter, reason_of
from registry import Registry, RunLost
from tests.adapters.makers import random_adapter
from tests.training.conftest import RECIPE, WORKER, Execute, Queue, quick


def test_a_completed_run_publishes_a_version_that_loads_and_says_how_good_it_is(
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
    assert ended.note.startswith("Kept epoch ")
    assert ended.note.endswith(" of 2 as colours@1.")
    version = registry.catalog.resolve("colours")
    adapter = from_files(registry.catalog.read_files(version), base)
    assert version.class_names == adapter.class_names == ("green", "red")
    assert version.config == RECIPE.adapter.on(base).as_json()
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


def test_a_run_asked_to_keep_publishes_its_best_so_far(
    registry: Registry, queue: Queue, carry_out: Execute, after_step: Callable[..., list[int]]
) -> None:
    run = queue(worker=WORKER)
    taken = after_step(5, lambda: registry.runs.request_stop(run.id, "keep"))
    ended = carry_out(run)
    assert (ended.status, ended.published) == ("completed", "colours@1")
    assert ended.note == "Stopped on request; kept epoch 1 of 1 as colours@1."
    assert len(taken) == 5


def test_a_run_whose_images_are_gone_fails_with_the_reason(
    registry: Registry, queue: Queue, carry_out: Execute, dataset: ImageDataset
) -> None:
    dataset.image_path(dataset.items[5]).unlink()
    ended = carry_out(queue(worker=WORKER))
    assert ended.status == "failed"
    assert ended.error is not None
    assert "unexpected error" not in ended.error
    assert registry.catalog.adapters() == []


def test_a_run_that_diverges_fails_with_the_step(
    queue: Queue, carry_out: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer._Training, "_step", lambda *_: float("nan"))
    ended = carry_out(queue(worker=WORKER))
    assert (ended.status, ended.error) == (
        "failed",
        "The loss became nan at step 1: lower the learning rate and train again.",
    )


def test_a_bug_ends_the_run_as_failed_without_showing_its_insides(
    queue: Queue, carry_out: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> float:
        raise ZeroDivisionError("secret /path")

    monkeypatch.setattr(trainer._Training, "_step", bug)
    ended = carry_out(queue(worker=WORKER))
    assert ended.status == "failed"
    assert ended.error is not None
    assert "ZeroDivisionError" in ended.error
    assert "secret" not in ended.error


def test_an_interrupted_run_keeps_its_standing_and_completes_when_resumed(
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    after_step: Callable[..., list[int]],
    tmp_path: Path,
) -> None:
    run, terminate = queue(worker=WORKER), threading.Event()
    taken = after_step(5, terminate.set)
    ended = carry_out(run, terminate)
    assert (ended.status, ended.error) == ("interrupted", "The training process was stopped.")
    assert len(taken) == 5
    assert registry.catalog.adapters() == []
    assert (tmp_path / "work" / run.id / "checkpoint.safetensors").exists()
    registry.runs.requeue(run.id)
    claimed = registry.runs.claim(WORKER)
    assert claimed is not None
    again = carry_out(claimed)
    assert (again.status, again.published, again.resumed) == ("completed", "colours@1", 1)
    assert len(taken) == 5 + 3  # the second epoch alone is trained again


def test_a_run_that_failed_half_way_goes_on_from_its_checkpoint_when_resumed(
    registry: Registry, queue: Queue, carry_out: Execute, after_step: Callable[..., list[int]]
) -> None:
    def disk_full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = queue(worker=WORKER)
    taken = after_step(5, disk_full)
    failed = carry_out(run)
    assert (failed.status, failed.error) == (
        "failed",
        "The disk is full: free some space and resume the run.",
    )
    registry.runs.requeue(run.id)
    claimed = registry.runs.claim(WORKER)
    assert claimed is not None
    assert carry_out(claimed).status == "completed"
    assert len(taken) == 5 + 3  # the second epoch alone is trained again


def test_a_run_that_was_already_published_is_only_completed(
    registry: Registry, queue: Queue, carry_out: Execute, base: Base, after_step: Callable[..., list[int]]
) -> None:
    run = queue(worker=WORKER)
    origin = Origin("colours", "Colours", run.base_id, "training", run.id, run.dataset_id)
    publish(registry, random_adapter(base), base, origin)
    taken = after_step(99, lambda: None)
    ended = carry_out(registry.runs.get(run.id))
    assert (ended.status, ended.published, taken) == ("completed", "colours@1", [])
    assert len(registry.catalog.versions("colours")) == 1


def test_a_run_that_was_taken_away_is_left_alone(
    registry: Registry, queue: Queue, carry_out: Execute, after_step: Callable[..., list[int]]
) -> None:
    run = queue(worker=WORKER)
    after_step(2, lambda: registry.runs.reap(stale_after=timedelta(hours=1), dead_worker=WORKER))
    ended = carry_out(run)
    assert ended.status == "interrupted"
    assert registry.catalog.adapters() == []


@pytest.mark.parametrize(
    "end", [ValueError("a bug"), TrainingStopped(), runner.TrainingInterrupted()], ids=repr
)
def test_a_run_taken_away_just_before_its_end_does_not_take_the_worker_with_it(
    end: Exception,
    registry: Registry,
    queue: Queue,
    carry_out: Execute,
    after_step: Callable[..., list[int]],
    tmp_path: Path,
) -> None:
    run = queue(worker=WORKER)

    def taken_away() -> None:
        registry.runs.reap(stale_after=timedelta(hours=1), dead_worker=WORKER)
        raise end

    after_step(4, taken_away)
    ended = carry_out(run)
    assert (ended.status, ended.error) == ("interrupted", registry.runs.get(run.id).error)
    assert (tmp_path / "work" / run.id / "checkpoint.safetensors").exists()  # another worker's by now


def test_the_heart_beats_between_reports_and_stops_when_the_run_is_lost(
    registry: Registry, queue: Queue
) -> None:
    run = queue(worker=WORKER)
    beats = threading.Semaphore(0)
    real = registry.runs.beat

    def beat(*args: Any, **values: Any) -> Any:
        try:
            return real(*args, **values)
        finally:
            beats.release()

    registry.runs.beat = beat  # type: ignore[method-assign]
    reporter = RunReporter(registry, run.id, WORKER, threading.Event(), heartbeat_seconds=0.001)
    with reporter:
        assert all(beats.acquire(timeout=10) for _ in range(3))
        registry.runs.finish(run.id, WORKER, "cancelled")
        reporter._thread.join(timeout=10)
        assert not reporter._thread.is_alive()
        with pytest.raises(RunLost):
            reporter.report("Epoch 1", 0.5)


def test_the_remaining_time_is_the_pace_so_far(registry: Registry, queue: Queue) -> None:
    run = queue(worker=WORKER)
    now = [100.0]
    reporter = RunReporter(registry, run.id, WORKER, threading.Event(), clock=lambda: now[0])
    etas = []
    for at, fraction in ((110.0, 0.1), (111.0, 0.11), (130.0, 0.3), (190.0, 0.9)):
        now[0] = at
        reporter.report("Epoch 1", fraction)
        etas.append(registry.runs.get(run.id).eta_seconds)
    assert etas[:2] == [None, None]
    assert etas[2:] == pytest.approx([70.0, 10.0])


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device"), "The disk is full"),
        (MemoryError(), "The memory is full"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "The memory is full"),
        (BaseUnavailable("The hub is away."), "The hub is away."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_cause_has_its_sentence(error: Exception, sentence: str) -> None:
    assert reason_of(error).startswith(sentence)


def test_a_finished_run_leaves_no_thread_behind(queue: Queue, carry_out: Execute) -> None:
    carry_out(queue(worker=WORKER, recipe=quick(epochs=1)))
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_several_heartbeats_fit_into_the_time_after_which_a_run_counts_as_dead() -> None:
    assert supervisor.STALE_AFTER.total_seconds() >= 3 * runner.HEARTBEAT_SECONDS
