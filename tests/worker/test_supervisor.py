"""The app starts a worker when a run is queued, and marks the run of a worker that died."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from loravit_web.settings.environment import Settings
from loravit_web.settings.modes import Executor
from loravit_web.worker import reaper
from loravit_web.worker.supervisor import Supervisor
from registry import DatabaseNotWritable, Registry
from tests.training.conftest import Queue


class FakeProcess:
    """A worker process as the supervisor sees it, and the id that it was given."""

    def __init__(self, pid: int, worker: str = "") -> None:
        self.pid, self.worker = pid, worker
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode


@pytest.fixture
def watched(
    settings: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> tuple[Supervisor, list[FakeProcess]]:
    return supervised(settings, registry, monkeypatch)


Watched = tuple[Supervisor, list[FakeProcess]]


def supervised(
    settings: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch, *, slots: int = 1
) -> Watched:
    started: list[FakeProcess] = []

    def spawn(_self: Supervisor, worker: str) -> FakeProcess:
        started.append(FakeProcess(4000 + len(started), worker))
        return started[-1]

    monkeypatch.setattr(Supervisor, "_spawn", spawn)
    return Supervisor(settings, registry, slots=slots), started


def test_a_single_worker_is_started_when_a_run_is_queued(watched: Watched, queue: Queue) -> None:
    watch, started = watched
    watch.tick()
    assert (started, watch.worker_pids) == ([], [])
    queue()
    watch.tick()
    watch.tick()
    assert [process.pid for process in started] == [4000]
    assert watch.worker_pids == [4000]


def test_a_worker_is_started_for_a_free_slot_whoever_else_trains(watched: Watched, queue: Queue) -> None:
    watch, started = watched
    queue(worker="elsewhere")
    queue()
    watch.tick()
    assert len(started) == 1


def test_a_node_starts_as_many_workers_as_there_are_queued_runs_and_free_slots(
    settings: Settings, registry: Registry, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, started = supervised(settings, registry, monkeypatch, slots=3)
    queue()
    for _ in range(2):  # the first worker has not claimed the run yet
        watch.tick()
        assert len(started) == 1
    registry.runs.claim(started[0].worker)
    queue()
    watch.tick()
    assert len(started) == 2
    for _ in range(4):
        queue()
    watch.tick()
    assert len(started) == 3


def test_a_node_without_slots_starts_no_worker_and_is_not_listed(
    settings: Settings, registry: Registry, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, started = supervised(settings, registry, monkeypatch, slots=0)
    queue()
    watch.tick()
    assert (started, registry.nodes.list()) == ([], [])


def test_a_node_is_listed_with_what_its_workers_train_until_it_ends(
    watched: Watched, registry: Registry, queue: Queue
) -> None:
    watch, started = watched
    run = queue()
    watch.start()
    watch.tick()
    (node,) = registry.nodes.list()
    assert (node.slots, node.busy, node.runs) == (1, 0, ())
    registry.runs.claim(started[0].worker, node=node.id)
    (node,) = registry.nodes.list()
    assert (node.busy, [one.id for one in node.runs]) == (1, [run.id])
    started[0].returncode = 0
    watch.stop()
    assert registry.nodes.list() == []


def test_the_run_of_a_dead_worker_waits_for_another_one_if_there_are_several_nodes(
    settings: Settings, registry: Registry, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(settings.limits, take_ups=1)
    settings = replace(settings, executor="workers", limits=limits)
    watch, started = supervised(settings, registry, monkeypatch)
    run = queue()
    watch.tick()
    registry.runs.claim(started[0].worker)
    started[0].returncode = -9
    watch.tick()
    assert registry.runs.get(run.id).status == "queued"
    registry.runs.claim(started[1].worker)
    started[1].returncode = -9
    watch.tick()
    assert registry.runs.get(run.id).status == "interrupted"


@pytest.mark.parametrize(("executor", "expected"), [("workers", 1), ("local", 0)])
def test_a_node_starts_a_worker_while_the_run_of_another_node_is_silent(
    settings: Settings,
    registry: Registry,
    queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
    executor: Executor,
    expected: int,
) -> None:
    monkeypatch.setattr(reaper, "_MAX_GAP_SECONDS", -1.0)
    watch, started = supervised(replace(settings, executor=executor), registry, monkeypatch)
    run = queue(worker="elsewhere")
    watch.tick()
    watch.tick()
    assert len(started) == expected
    assert registry.runs.get(run.id).status == "running"


def test_the_run_of_a_dead_worker_is_interrupted_at_once_and_the_queue_continues(
    watched: Watched, queue: Queue, registry: Registry
) -> None:
    watch, started = watched
    first, second = queue(), queue(slug="others")
    watch.tick()
    registry.runs.claim(started[0].worker)
    started[0].returncode = -9
    watch.tick()
    died = registry.runs.get(first.id)
    assert died.status == "interrupted"
    assert "system killed the training process" in (died.error or "")
    assert died.error_kind == "lost"
    assert registry.runs.get(second.id).status == "queued"
    assert [process.pid for process in started] == [4000, 4001]


def test_a_worker_that_fails_to_start_is_retried_at_increasing_intervals(
    watched: Watched, queue: Queue
) -> None:
    watch, started = watched
    now = [1000.0]
    watch._clock = lambda: now[0]
    queue()
    births = []
    for _ in range(200):
        watch.tick()
        if len(births) < len(started):
            births.append(now[0])
            started[-1].returncode = 1
        now[0] += 0.5
    assert [round(b - a) for a, b in itertools.pairwise(births)] == [1, 3, 7, 15, 31]


def test_a_run_without_a_heartbeat_is_interrupted(
    watched: Watched, queue: Queue, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, _ = watched
    run = queue(worker="elsewhere:7")
    watch.tick()
    assert registry.runs.get(run.id).status == "running"
    monkeypatch.setattr(reaper, "STALE_AFTER", timedelta(seconds=-1))
    watch.tick()
    assert registry.runs.get(run.id).status == "interrupted"


def test_a_started_worker_uses_the_same_data_folder(
    settings: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, artifact_url="s3://team")
    called: dict[str, Any] = {}

    def popen(command: list[str], **options: Any) -> FakeProcess:
        called.update(options, command=command)
        return FakeProcess(1)

    monkeypatch.setattr(subprocess, "Popen", popen)
    Supervisor(settings, registry)._spawn("a1")
    assert called["command"][:4] == [sys.executable, "-m", "loravit_web", "worker"]
    assert called["command"][-4:-1] == ["--id", "a1", "--node"]
    assert called["env"]["LORAVIT_HOME"] == str(settings.home)
    assert called["env"]["LORAVIT_DATABASE_URL"] == ""
    assert called["env"]["LORAVIT_BASE"] == "tiny"
    assert called["env"]["LORAVIT_ARTIFACT_URL"] == "s3://team"
    assert called["start_new_session"] is True
    assert (settings.home / "logs" / "worker.log").exists()


def test_the_run_of_a_live_worker_that_cannot_write_continues(
    watched: Watched, queue: Queue, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, started = watched
    run = queue()
    watch.tick()
    registry.runs.claim(started[0].worker)
    monkeypatch.setattr(reaper, "STALE_AFTER", timedelta(seconds=-1))
    watch.tick()
    assert registry.runs.get(run.id).status == "running"


def test_a_worker_that_died_during_an_outage_is_reported_afterwards(
    watched: Watched, queue: Queue, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, started = watched
    run = queue()
    watch.tick()
    registry.runs.claim(started[0].worker)
    with monkeypatch.context() as outage:
        outage.setattr(registry.runs, "reap", refused)
        started[0].returncode = -9
        with pytest.raises(DatabaseNotWritable):
            watch.tick()
    watch.tick()
    assert registry.runs.get(run.id).status == "interrupted"


def test_stopping_does_not_affect_other_runs_and_survives_an_outage(
    watched: Watched, queue: Queue, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, started = watched
    queue()
    watch.start()
    watch.tick()
    own = registry.runs.claim(started[0].worker)
    other = queue(worker="elsewhere:7")
    started[0].returncode = 0
    monkeypatch.setattr(reaper, "STALE_AFTER", timedelta(seconds=3600))
    with monkeypatch.context() as outage:
        outage.setattr(registry.runs, "reap", refused)
        watch.stop()
    assert own is not None
    assert registry.runs.get(own.id).status == "running"
    watch.stop()
    assert registry.runs.get(own.id).status == "interrupted"
    assert registry.runs.get(other.id).status == "running"


def refused(**_: Any) -> Any:
    raise DatabaseNotWritable("connection refused")


def test_a_worker_is_started_without_a_log_if_the_disk_is_full(
    settings: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with Supervisor(settings, registry)._worker_log() as log:
        assert log.name == os.devnull
