"""A run always ends in the truth, and only a completed one is in the catalog."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from loravit_web.adapters.format import from_files
from loravit_web.backbones import Base
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.settings import Settings
from loravit_web.training import runner, supervisor, trainer, worker
from loravit_web.training.progress import TrainingStopped
from loravit_web.training.publishing import Origin, publish
from loravit_web.training.recipe import Recipe
from loravit_web.training.runner import RunReporter, execute, reason_of
from loravit_web.training.supervisor import Supervisor
from loravit_web.training.worker import Worker, worker_name
from registry import DatasetClass, NewBase, NewDataset, NewRun, Registry, Run, RunLost
from tests.adapters.makers import random_adapter
from tests.conftest import tiny_base
from tests.training.conftest import quick

WORKER = "here:1"
RECIPE = quick(epochs=2)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts") as opened:
        yield opened


Queue = Callable[..., Run]


@pytest.fixture
def queue(registry: Registry, dataset: ImageDataset, base: Base) -> Queue:
    """Queues a run on the colours; with a worker it is already running."""

    def make(
        *, slug: str = "colours", recipe: Recipe = RECIPE, worker: str | None = None, on: Base = base
    ) -> Run:
        record = registry.bases.ensure(
            NewBase(on.name, on.weights_sha256, on.architecture, on.embed_dim, on.depth)
        )
        classes = tuple(
            DatasetClass(name, n["train"], n["val"], n["test"]) for name, n in dataset.counts().items()
        )
        stored = registry.datasets.ensure(NewDataset(dataset.fingerprint, dataset.name, "folder", classes))
        return registry.runs.create(
            NewRun(slug, slug.title(), record.id, stored.id, recipe.seed, recipe.as_json(), {}), worker=worker
        )

    return make


Execute = Callable[..., Run]


@pytest.fixture
def carry_out(registry: Registry, store: DatasetStore, base: Base, tmp_path: Path) -> Execute:
    def carry_out(run: Run, terminate: threading.Event | None = None) -> Run:
        return execute(
            run,
            worker=WORKER,
            registry=registry,
            datasets=store,
            load=lambda _progress: (base, torch.float32),
            work=tmp_path / "work" / run.id,
            terminate=terminate or threading.Event(),
        )

    return carry_out


@pytest.fixture
def after_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], list[int]]:
    """Does something right after the n-th training step; gives the list of all steps taken."""
    taken: list[int] = []
    real = trainer._Training._step

    def at(n: int, act: Callable[[], object]) -> list[int]:
        def step(self: Any, *args: Any) -> float:
            loss = real(self, *args)
            taken.append(len(taken) + 1)
            if len(taken) == n:
                act()
            return loss

        monkeypatch.setattr(trainer._Training, "_step", step)
        return taken

    return at


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
    assert version.config == RECIPE.adapter.as_json()
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


@pytest.fixture
def new_worker(
    settings: Settings, registry: Registry, store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Worker]:
    monkeypatch.setattr(worker, "fastest_dtype", lambda _base: torch.float32)
    return lambda load: Worker(settings, registry, store, load=load)


def test_a_worker_drains_the_queue_and_loads_the_base_once(
    registry: Registry, queue: Queue, base: Base, new_worker: Callable[..., Worker], settings: Settings
) -> None:
    loaded: list[tuple[str, Path]] = []

    def load(name: str, folder: Path, progress: Callable[[float, str], None]) -> Base:
        progress(0.5, "Fetching the base: 45 of 90 MB")
        (running,) = registry.runs.list(status=["running"])
        assert running.stage == "Fetching the base: 45 of 90 MB"
        loaded.append((name, folder))
        return base

    first, second = queue(recipe=quick(epochs=1)), queue(slug="others", recipe=quick(epochs=1))
    new_worker(load).work(idle_exit=0.0)
    assert [registry.runs.get(run.id).published for run in (first, second)] == ["colours@1", "others@1"]
    assert loaded == [("tiny", settings.bases)]
    assert registry.runs.count("queued") == 0


def test_a_run_whose_base_can_not_be_had_fails_and_the_next_goes_on(
    registry: Registry, queue: Queue, base: Base, new_worker: Callable[..., Worker]
) -> None:
    def load(name: str, *_: object) -> Base:
        if name == "far-away":
            raise BaseUnavailable("far-away can't be downloaded.")
        return base

    lost = queue(on=replace(base, name="far-away"))
    changed = queue(on=tiny_base(seed=5))
    fine = queue(recipe=quick(epochs=1))
    new_worker(load).work(idle_exit=0.0)
    ended = [registry.runs.get(run.id) for run in (lost, changed, fine)]
    assert [run.status for run in ended] == ["failed", "failed", "completed"]
    assert ended[0].error == "far-away can't be downloaded."
    assert "no longer those the run was queued for" in (ended[1].error or "")


def test_a_worker_tells_the_truth_about_a_run_whose_process_died_before_it(
    registry: Registry,
    queue: Queue,
    base: Base,
    new_worker: Callable[..., Worker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "STALE_AFTER", timedelta(seconds=-1))
    dead = queue(worker="killed:1")
    new_worker(lambda *_: base).work(idle_exit=0.0)
    assert registry.runs.get(dead.id).status == "interrupted"


def test_a_worker_asked_to_end_takes_up_nothing_more(
    registry: Registry, queue: Queue, base: Base, new_worker: Callable[..., Worker]
) -> None:
    queue()
    stopped = new_worker(lambda *_: base)
    stopped.terminate.set()
    stopped.work()
    assert registry.runs.count("queued") == 1


class FakeProcess:
    """A worker process as the supervisor sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode


@pytest.fixture
def watched(
    settings: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> tuple[Supervisor, list[FakeProcess]]:
    started: list[FakeProcess] = []

    def spawn(_self: Supervisor) -> FakeProcess:
        started.append(FakeProcess(4000 + len(started)))
        return started[-1]

    monkeypatch.setattr(Supervisor, "_spawn", spawn)
    return Supervisor(settings, registry), started


Watched = tuple[Supervisor, list[FakeProcess]]


def test_a_worker_is_started_only_when_a_run_waits_and_only_one(watched: Watched, queue: Queue) -> None:
    watch, started = watched
    watch.tick()
    assert (started, watch.worker_pid) == ([], None)
    queue()
    watch.tick()
    watch.tick()
    assert [process.pid for process in started] == [4000]
    assert watch.worker_pid == 4000


def test_no_worker_is_started_beside_one_that_trains_for_another_app(watched: Watched, queue: Queue) -> None:
    watch, started = watched
    queue(worker="elsewhere:7")
    queue()
    watch.tick()
    assert started == []


def test_the_run_of_a_worker_that_died_is_interrupted_at_once_and_the_queue_goes_on(
    watched: Watched, queue: Queue, registry: Registry
) -> None:
    watch, started = watched
    first, second = queue(), queue(slug="others")
    watch.tick()
    registry.runs.claim(worker_name(4000))
    started[0].returncode = -9
    watch.tick()
    died = registry.runs.get(first.id)
    assert died.status == "interrupted"
    assert "ended unexpectedly" in (died.error or "")
    assert registry.runs.get(second.id).status == "queued"
    assert [process.pid for process in started] == [4000, 4001]


def test_a_run_without_a_heartbeat_is_interrupted(
    watched: Watched, queue: Queue, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, _ = watched
    run = queue(worker="elsewhere:7")
    watch.tick()
    assert registry.runs.get(run.id).status == "running"
    monkeypatch.setattr(supervisor, "STALE_AFTER", timedelta(seconds=-1))
    watch.tick()
    assert registry.runs.get(run.id).status == "interrupted"


def test_a_started_worker_belongs_to_the_same_data_folder(
    settings: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: dict[str, Any] = {}

    def popen(command: list[str], **options: Any) -> FakeProcess:
        called.update(options, command=command)
        return FakeProcess(1)

    monkeypatch.setattr(subprocess, "Popen", popen)
    Supervisor(settings, registry)._spawn()
    assert called["command"][:4] == [sys.executable, "-m", "loravit_web", "worker"]
    assert called["env"]["LORAVIT_HOME"] == str(settings.home)
    assert called["env"]["LORAVIT_BASE"] == "tiny"
    assert called["start_new_session"] is True
    assert (settings.home / "logs" / "worker.log").exists()


def test_a_finished_run_leaves_no_thread_behind(queue: Queue, carry_out: Execute) -> None:
    carry_out(queue(worker=WORKER, recipe=quick(epochs=1)))
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_several_heartbeats_fit_into_the_time_after_which_a_run_counts_as_dead() -> None:
    assert supervisor.STALE_AFTER.total_seconds() >= 3 * runner.HEARTBEAT_SECONDS
