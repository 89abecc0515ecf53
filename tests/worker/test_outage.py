"""A real PostgreSQL server becomes unavailable during a run: the run continues."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from loravit_web.worker import reaper, tracking
from loravit_web.worker.reaper import Reaper, reap_once
from loravit_web.worker.tracking import RunReporter
from registry import (
    DatabaseNotWritable,
    DatasetClass,
    NewBase,
    NewDataset,
    NewRun,
    Registry,
    RegistryError,
    Run,
)
from tests.registry.postgres_server import NoServer, Server, new_server

BEAT = 0.1
"""All times are a fiftieth of the real ones."""
OUTAGE = 2.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a stopped server of this file's own; without PostgreSQL the tests are skipped."""
    try:
        import psycopg  # noqa: F401

        with new_server() as running:
            yield running
    except (ImportError, NoServer) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"not on PostgreSQL: {error}")


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "STALE_AFTER", timedelta(seconds=6 * BEAT))
    monkeypatch.setattr(reaper, "CONFIRM_SECONDS", 4 * BEAT)
    monkeypatch.setattr(reaper, "_MAX_GAP_SECONDS", 2 * BEAT)
    monkeypatch.setattr(reaper, "_PAUSE_SECONDS", BEAT / 2)
    monkeypatch.setattr(tracking, "_PAUSE_SECONDS", BEAT)


@pytest.fixture
def two(server: Server, tmp_path: Path) -> Iterator[tuple[Registry, Registry]]:
    """Return the registry as the worker and as an observer have it."""
    url = f"{server.address}/postgres"
    with (
        Registry.open(url, tmp_path / "artifacts") as one,
        Registry.open(url, tmp_path / "artifacts") as other,
    ):
        yield one, other


def running(registry: Registry) -> Run:
    base = registry.bases.ensure(NewBase("tiny", "a" * 64, "vit", 32, 3))
    dataset = registry.datasets.ensure(NewDataset("f" * 64, "d", "zip", (DatasetClass("a", 1, 1, 1),)))
    return registry.runs.create(NewRun("colours", "", base.id, dataset.id, 0, {}, {}), worker="w:1")


def away(server: Server, how: str, seconds: float) -> None:
    if how == "frozen":
        with server.frozen():
            time.sleep(seconds)
    else:
        server.stop()
        time.sleep(seconds)
        server.start()


@contextmanager
def slow_to_come_back(registry: Registry) -> Iterator[None]:
    """No heartbeat is written in the block, as by a worker that still waits for its last try to fail."""
    real = registry.runs.record_heartbeat

    def refused(*_: Any, **__: Any) -> Any:
        raise DatabaseNotWritable("connection timed out")

    registry.runs.record_heartbeat = refused  # type: ignore[method-assign]
    yield
    registry.runs.record_heartbeat = real  # type: ignore[method-assign]


@contextmanager
def watched(registry: Registry) -> Iterator[list[str]]:
    """Check continuously, as the app does; provide the runs that were marked so far."""
    marked, observer, ended = list[str](), Reaper(registry), threading.Event()

    def watch() -> None:
        while not ended.wait(BEAT / 10):
            try:
                marked.extend(run.id for run in observer.reap())
            except RegistryError:
                continue

    looking = threading.Thread(target=watch)
    looking.start()
    try:
        yield marked
    finally:
        ended.set()
        looking.join()


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_a_run_continues_after_an_outage_and_a_dead_one_is_still_detected(
    server: Server, two: tuple[Registry, Registry], tmp_path: Path, how: str
) -> None:
    worker, observer = two
    run = running(worker)
    with watched(observer) as marked:
        with RunReporter(worker, run.lease, threading.Event(), heartbeat_seconds=BEAT):
            time.sleep(5 * BEAT)
            with slow_to_come_back(worker):
                away(server, how, OUTAGE)
                time.sleep(2 * BEAT)
            with Registry.open(f"{server.address}/postgres", tmp_path / "artifacts") as fresh:
                assert reap_once(fresh) == []
            time.sleep(15 * BEAT)
            assert (observer.runs.get(run.id).status, marked) == ("running", [])
        deadline = time.monotonic() + 30
        while not marked:
            assert time.monotonic() < deadline, "the run whose heart stopped is still running"
            time.sleep(BEAT)
    assert marked == [run.id]
    assert observer.runs.get(run.id).status == "interrupted"
