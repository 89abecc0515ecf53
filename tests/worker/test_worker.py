"""A worker executes queued runs one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from loravit_web.backbones import Base
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.datasets import DatasetStore
from loravit_web.settings.environment import Settings
from loravit_web.worker import reaper
from loravit_web.worker import worker as worker_module
from loravit_web.worker.failures import DISK_FULL
from loravit_web.worker.worker import UNRECORDED, Worker, opened_worker
from registry import DatabaseNotWritable, Registry, Run
from tests.conftest import tiny_base
from tests.training.conftest import Queue, quick


@pytest.fixture
def new_worker(
    settings: Settings, registry: Registry, store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Worker]:
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


def test_a_run_without_its_base_fails_and_the_next_one_runs(
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
    assert [run.error_kind for run in ended] == ["base", "base", None]
    assert "changed since the run was queued" in (ended[1].error or "")


def test_a_worker_marks_the_run_of_a_previous_dead_process(
    registry: Registry,
    queue: Queue,
    base: Base,
    new_worker: Callable[..., Worker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reaper, "STALE_AFTER", timedelta(seconds=-1))
    dead = queue(worker="killed:1")
    new_worker(lambda *_: base).work(idle_exit=0.0)
    assert registry.runs.get(dead.id).status == "interrupted"


def test_an_idle_worker_loads_once_what_the_run_of_a_silent_worker_needs(
    settings: Settings,
    registry: Registry,
    store: DatasetStore,
    queue: Queue,
    base: Base,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reaper, "_MAX_GAP_SECONDS", -1.0)
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 0.01)
    loaded: list[str] = []

    def load(name: str, *_: object) -> Base:
        loaded.append(name)
        return base

    run = queue(worker="elsewhere")
    Worker(replace(settings, executor="workers"), registry, store, load=load).work(idle_exit=0.1)
    assert loaded == ["tiny"]
    assert registry.runs.get(run.id).status == "running"


def test_a_stopped_worker_claims_no_further_run(
    registry: Registry, queue: Queue, base: Base, new_worker: Callable[..., Worker]
) -> None:
    queue()
    stopped = new_worker(lambda *_: base)
    stopped.terminate.set()
    stopped.work()
    assert registry.runs.count("queued") == 1


@pytest.mark.parametrize(
    ("reason", "told"), [("connection refused", UNRECORDED), ("database or disk is full", DISK_FULL)]
)
def test_a_run_whose_end_was_not_recorded_is_marked_after_the_outage(
    registry: Registry, queue: Queue, base: Base, new_worker: Callable[..., Worker], reason: str, told: str
) -> None:
    run = queue()
    worker = new_worker(lambda *_: base)

    def unrecorded(run: Run) -> Run:
        raise DatabaseNotWritable(reason)

    worker.execute = unrecorded  # type: ignore[method-assign]
    worker.work(idle_exit=0.0)
    assert registry.runs.get(run.id).status == "running"
    worker.work(idle_exit=0.0)
    ended = registry.runs.get(run.id)
    assert (ended.status, ended.error, ended.error_kind) == ("interrupted", told, "lost")


def test_a_worker_opens_the_data_folder_by_itself_and_closes_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new", base="tiny")
    with opened_worker(settings) as worker:
        assert worker.datasets == DatasetStore.of(settings)
        worker.work(idle_exit=0.0)
        engine = worker.registry._database.engine
        assert engine.pool.checkedin()
    assert not engine.pool.checkedin()
