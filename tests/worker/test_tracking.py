"""The reports of a run arrive sooner or later, or the run ends with the reason."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from loravit_web.worker import tracking
from loravit_web.worker.tracking import RegistryUnwritable, RunReporter, TrainingInterrupted, retry_writes
from registry import DatabaseNotReadable, DatabaseNotWritable, Registry, RunLost
from tests.training.conftest import WORKER, Queue


class Refusals:
    """Lets `record_heartbeat` and `log_metrics` of a registry refuse while `on`."""

    def __init__(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on = False
        for name in ("record_heartbeat", "log_metrics"):
            monkeypatch.setattr(registry.runs, name, self._guarded(getattr(registry.runs, name)))

    def _guarded(self, real: Any) -> Any:
        def write(*args: Any, **values: Any) -> Any:
            if self.on:
                raise DatabaseNotWritable("database is locked")
            return real(*args, **values)

        return write


@pytest.fixture
def refusals(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Refusals:
    return Refusals(registry, monkeypatch)


def test_heartbeats_continue_between_reports_and_stop_when_the_run_is_lost(
    registry: Registry, queue: Queue
) -> None:
    run = queue(worker=WORKER)
    beats = threading.Semaphore(0)
    real = registry.runs.record_heartbeat

    def beat(*args: Any, **values: Any) -> Any:
        try:
            return real(*args, **values)
        finally:
            beats.release()

    registry.runs.record_heartbeat = beat  # type: ignore[method-assign]
    reporter = RunReporter(registry, run.lease, threading.Event(), heartbeat_seconds=0.001)
    with reporter:
        assert all(beats.acquire(timeout=10) for _ in range(3))
        registry.runs.finish(run.lease, "cancelled")
        reporter._thread.join(timeout=10)
        assert not reporter._thread.is_alive()
        with pytest.raises(RunLost):
            reporter.report("Epoch 1", 0.5)


def test_a_run_ends_at_its_time_limit_unless_a_user_requested_its_end(
    registry: Registry, queue: Queue
) -> None:
    run = queue(worker=WORKER)
    now = [100.0]
    reporter = RunReporter(registry, run.lease, threading.Event(), clock=lambda: now[0], max_seconds=60.0)
    now[0] = 160.0
    assert (reporter.overdue, reporter.stop_and_keep()) == (False, False)
    now[0] = 160.5
    assert (reporter.overdue, reporter.stop_and_keep()) == (True, True)
    registry.runs.request_stop(run.id, "keep")
    reporter.report("Epoch 1", 0.5)
    assert (reporter.overdue, reporter.stop_and_keep()) == (False, True)


def test_the_remaining_time_is_estimated_from_the_pace_so_far(registry: Registry, queue: Queue) -> None:
    run = queue(worker=WORKER)
    now = [100.0]
    reporter = RunReporter(registry, run.lease, threading.Event(), clock=lambda: now[0])
    etas = []
    for at, fraction in ((110.0, 0.1), (111.0, 0.11), (130.0, 0.3), (190.0, 0.9)):
        now[0] = at
        reporter.report("Epoch 1", fraction)
        etas.append(registry.runs.get(run.id).eta_seconds)
    assert etas[:2] == [None, None]
    assert etas[2:] == pytest.approx([70.0, 10.0])


def test_pending_writes_are_written_in_order_after_an_outage(
    registry: Registry, queue: Queue, refusals: Refusals
) -> None:
    run = queue(worker=WORKER)
    reporter = RunReporter(registry, run.lease, threading.Event())
    refusals.on = True
    reporter.metrics(1, {"val_loss": 0.5})
    reporter.metrics(1, {"val_loss": 0.4})
    reporter.report("Epoch 2", 0.5)
    assert registry.runs.metrics(run.id) == {}
    refusals.on = False
    reporter._write()  # as the heartbeat thread does
    (point,) = registry.runs.metrics(run.id)["val_loss"]
    assert point.value == 0.4
    assert registry.runs.get(run.id).stage == "Epoch 2"


def test_the_training_thread_does_not_wait_repeatedly_for_a_failing_registry(
    registry: Registry, queue: Queue, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = RunReporter(registry, queue(worker=WORKER).lease, threading.Event())
    refusals.on = True
    reporter.report("Epoch 1", 0.1)
    monkeypatch.setattr(reporter, "_write", lambda: pytest.fail("the training waited"))
    reporter.report("Epoch 1", 0.2)


def test_a_long_outage_ends_the_training_with_the_reason(
    registry: Registry, queue: Queue, refusals: Refusals
) -> None:
    now = [0.0]
    run = queue(worker=WORKER)
    reporter = RunReporter(registry, run.lease, threading.Event(), clock=lambda: now[0])
    refusals.on = True
    for now[0] in (0.0, tracking.RETRY_SECONDS):
        reporter.report("Epoch 1", 0.1)
    now[0] += 1
    with pytest.raises(
        RegistryUnwritable, match=r"for 5 minutes \(database is locked\). Solve this problem and resume"
    ):
        reporter.report("Epoch 1", 0.1)


def test_a_lost_run_is_detected_after_an_outage(registry: Registry, queue: Queue, refusals: Refusals) -> None:
    run = queue(worker=WORKER)
    with RunReporter(registry, run.lease, threading.Event(), heartbeat_seconds=0.001) as reporter:
        refusals.on = True
        reporter.report("Epoch 1", 0.1)
        registry.runs.finish(run.lease, "cancelled")
        refusals.on = False
        reporter._thread.join(timeout=10)
        with pytest.raises(RunLost):
            reporter.report("Epoch 1", 0.2)


def test_every_report_ends_a_process_that_has_to_stop(registry: Registry, queue: Queue) -> None:
    terminate = threading.Event()
    reporter = RunReporter(registry, queue(worker=WORKER).lease, terminate)
    terminate.set()
    for tell in (lambda: reporter.report("Epoch 1", 0.1), lambda: reporter.metrics(1, {"lr": 1.0})):
        with pytest.raises(TrainingInterrupted):
            tell()


def test_writes_are_retried_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_PAUSE_SECONDS", 0.0)
    tries = []
    now = iter(range(100))

    def refused() -> None:
        tries.append(1)
        raise DatabaseNotWritable("database is locked")

    with pytest.raises(DatabaseNotWritable):
        retry_writes(refused, threading.Event(), seconds=5, clock=lambda: float(next(now)))
    assert len(tries) == 6


def test_writes_are_not_retried_if_the_process_has_to_end() -> None:
    terminate = threading.Event()
    terminate.set()

    def refused() -> None:
        raise DatabaseNotWritable("database is locked")

    with pytest.raises(DatabaseNotWritable):
        retry_writes(refused, terminate)


def test_several_heartbeats_fit_into_the_stale_time() -> None:
    assert tracking.STALE_AFTER.total_seconds() >= 3 * tracking.HEARTBEAT_SECONDS


def test_a_failed_read_is_retried_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_PAUSE_SECONDS", 0.0)
    outcomes: list[Exception | str] = [DatabaseNotReadable("here", "connection refused"), "read"]

    def read() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert retry_writes(read, threading.Event()) == "read"


def test_a_failed_heartbeat_is_retried_soon(registry: Registry, queue: Queue, refusals: Refusals) -> None:
    run = queue(worker=WORKER)
    reporter = RunReporter(registry, run.lease, threading.Event())
    assert reporter._until_next() == tracking.HEARTBEAT_SECONDS
    refusals.on = True
    reporter.report("Epoch 1", 0.1)
    assert reporter._until_next() < tracking.HEARTBEAT_SECONDS
    refusals.on = False
    reporter._write()
    assert reporter._until_next() == tracking.HEARTBEAT_SECONDS
