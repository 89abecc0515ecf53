"""Real worker processes are killed and stopped: nothing that was reported is lost, and runs end correctly."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.faults import chaos
from benchmarks.faults.chaos_jobs import EPOCHS, open_registry, queue_run
from benchmarks.support.forks import Host, Job
from loravit_web.worker.runner import STOPPED
from registry import Registry, Run

KILLS = 4
"""`python -m benchmarks chaos` kills more workers."""
STOP_SECONDS = 10.0


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host("benchmarks.faults.chaos_jobs", tmp_path_factory.mktemp("host") / "log") as host:
        yield host


@pytest.fixture
def home(tmp_path: Path) -> Path:
    chaos.prepare(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def registry(home: Path) -> Iterator[Registry]:
    with open_registry(home) as registry:
        yield registry


def wait_for(told: Path, happened: Callable[[list[dict[str, object]]], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened(chaos.told([told])):
        assert time.monotonic() < deadline, told.read_text() if told.exists() else "nothing was told"
        time.sleep(0.001)


def start(host: Host, home: Path, told: str, **options: object) -> Job:
    return host.start("train", home=str(home), told=str(home / told), idle_exit=0.0, **options)


def test_a_run_killed_halfway_and_resumed_equals_an_uninterrupted_one_bit_for_bit(
    host: Host, home: Path, registry: Registry
) -> None:
    straight = chaos.train_once(host, registry, home)
    run = queue_run(registry, home, "killed")
    job = start(host, home, "before")
    half = {"what": "save_checkpoint", "epoch": EPOCHS // 2}
    wait_for(home / "before", lambda lines: half in lines)
    job.signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    registry.runs.reap(dead={"before": None})
    assert registry.runs.get(run.id).status == "interrupted"
    assert registry.catalog.resolve("reference")
    registry.runs.requeue(run.id)
    assert start(host, home, "after").wait() == 0
    assert chaos.outcome(registry, run.id) == straight
    trained = [one["step"] for one in chaos.told([home / "after"]) if one["what"] == "log_metrics"]
    again = [step for step in trained if step > EPOCHS // 2]
    assert again == [step for step in range(EPOCHS // 2 + 1, EPOCHS + 1) if step in trained]
    assert EPOCHS in again


@pytest.mark.parametrize(("slow", "grace"), [("load", 60.0), ("probe", 60.0), ("step", 0.2)])
def test_a_worker_stopped_in_a_long_stage_ends_in_time(
    slow: str, grace: float, host: Host, home: Path, registry: Registry
) -> None:
    run = queue_run(registry, home, "slow")
    job = start(host, home, "told", slow=slow, grace=grace)
    wait_for(home / "told", lambda lines: {"what": "slow"} in lines)
    asked = time.monotonic()
    job.signal(signal.SIGTERM)
    assert job.wait() == (1 if slow == "step" else 0)
    assert time.monotonic() - asked < STOP_SECONDS
    assert_stopped(registry.runs.get(run.id))


def assert_stopped(run: Run) -> None:
    assert (run.status, run.error, run.error_kind) == ("interrupted", STOPPED, "stopped")


def test_a_run_is_cancelled_while_its_base_is_being_loaded(
    host: Host, home: Path, registry: Registry
) -> None:
    run = queue_run(registry, home, "slow")
    job = start(host, home, "told", slow="load")
    wait_for(home / "told", lambda lines: {"what": "slow"} in lines)
    registry.runs.request_stop(run.id, "cancel")
    assert job.wait() == 0
    assert registry.runs.get(run.id).status == "cancelled"


def test_nothing_reported_is_lost_after_kills_at_random_moments(host: Host, home: Path) -> None:
    aftermath = chaos.rage(host, home, kills=KILLS)
    assert aftermath.problems == []
    assert aftermath.promises > KILLS
    assert aftermath.versions > 0
