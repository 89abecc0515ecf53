"""Checkpoint and log of a run are stored while it trains, and removed when they are not needed any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from loravit_web.backbones import Base
from loravit_web.datasets import DatasetStore
from loravit_web.runs.queueing import share
from loravit_web.settings.environment import Settings
from loravit_web.worker import keeping
from loravit_web.worker.keeping import CHECKPOINT, Keeper, remove_checkpoints, stored_log
from loravit_web.worker.worker import Worker
from registry import BlobNotStored, Registry, Run, RunLost
from tests.training.conftest import Queue, quick


@pytest.fixture
def run(queue: Queue, registry: Registry) -> Run:
    queue()
    return claimed(registry)


def claimed(registry: Registry, worker: str = "w") -> Run:
    run = registry.runs.claim(worker)
    assert run is not None
    return run


def nothing(_fraction: float, _stage: str) -> None:
    return


@pytest.fixture
def keeper(registry: Registry, run: Run, tmp_path: Path) -> Keeper:
    (tmp_path / "work").mkdir()
    return Keeper(registry, run, tmp_path / "work", tmp_path / "run.log")


def test_the_newest_checkpoint_is_stored_and_fetched_by_the_next_worker(
    registry: Registry, run: Run, keeper: Keeper, tmp_path: Path
) -> None:
    for content in (b"epoch 1", b"epoch 2, longer"):
        (tmp_path / "work" / CHECKPOINT).write_bytes(content)
        keeper.store()
    assert registry.run_files.read(run.id, CHECKPOINT) == content
    assert len(list((tmp_path / "artifacts").glob("blobs/*/*/*"))) == 1  # the first one is removed
    registry.runs.hand_back(run.lease)
    there = Keeper(registry, claimed(registry), tmp_path / "there", tmp_path / "there.log")
    there.fetch(nothing)
    assert (tmp_path / "there" / CHECKPOINT).read_bytes() == content


def test_a_worker_that_lost_its_run_stores_nothing(
    registry: Registry, run: Run, keeper: Keeper, tmp_path: Path
) -> None:
    (tmp_path / "work" / CHECKPOINT).write_bytes(b"late")
    (tmp_path / "run.log").write_text("late\n")
    registry.runs.reap(dead={"w": None}, take_ups=1)
    taken = claimed(registry, "other")
    with pytest.raises(RunLost):
        keeper.store()
    keeper.store_end(taken)
    assert registry.run_files.names(run.id) == []


def test_a_store_that_is_away_delays_the_copies(
    registry: Registry, run: Run, keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / CHECKPOINT).write_bytes(b"epoch 1")

    def away(*_: Any) -> Any:
        raise BlobNotStored("s3://team", "connection refused")

    with monkeypatch.context() as outage:
        outage.setattr(registry.blobs, "put_bytes", away)
        keeper.store()
    keeper.store()
    assert registry.run_files.read(run.id, CHECKPOINT) == b"epoch 1"


def test_the_log_is_stored_in_parts_of_every_attempt(
    registry: Registry, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOG_BYTES", 10)
    log = tmp_path / "run.log"
    log.write_text("of an earlier attempt here\n")
    first = Keeper(registry, run, tmp_path, log)
    for text in ("one two\n", "three\n", "four\n"):
        with log.open("a") as file:
            file.write(text)
        first.store()
    first.store()  # the rest of the first part
    ended = registry.runs.hand_back(run.lease)
    with log.open("a") as file:
        file.write("end\n")
    first.store_end(ended)
    second = Keeper(registry, claimed(registry), tmp_path, tmp_path / "there.log")
    (tmp_path / "there.log").write_text("five\n")
    second.store()
    assert stored_log(registry, run.id, 1000) == "one two\nthree\nfour\nend\nfive\n"
    assert stored_log(registry, run.id, 1).endswith("five\n")


def test_checkpoints_are_kept_while_a_run_can_be_resumed(registry: Registry, queue: Queue) -> None:
    ended = {}
    for status in ("completed", "cancelled", "failed", "interrupted"):
        run = queue(worker="w")
        registry.run_files.put(run.id, CHECKPOINT, status.encode(), lease=run.lease)
        ended[status] = registry.runs.finish(run.lease, status)  # type: ignore[arg-type]
    remove_checkpoints(registry)
    left = {status for status, run in ended.items() if CHECKPOINT in registry.run_files.names(run.id)}
    assert left == {"failed", "interrupted"}


def test_a_run_continues_on_another_machine_and_equals_an_undisturbed_one_bit_for_bit(
    registry: Registry,
    queue: Queue,
    store: DatasetStore,
    base: Base,
    settings: Settings,
    after_step: Callable[[int, Callable[[], object]], list[int]],
    tmp_path: Path,
    one_thread: None,
) -> None:
    recipe = quick(epochs=4)

    def worker_at(name: str) -> Worker:
        here = replace(settings, home=tmp_path / name, executor="workers")
        worker = Worker(here, registry, DatasetStore(here.datasets, workers=1), worker_id=name)
        worker.add_base(base, torch.float32)
        return worker

    undisturbed, moved = queue(slug="straight", recipe=recipe), queue(slug="moved", recipe=recipe)
    (dataset,) = store.datasets()
    share(registry, dataset)
    calm = worker_at("calm")
    assert calm.execute(claimed(registry, "calm")).status == "completed"
    first = worker_at("first")
    taken = after_step(7, first.terminate.set)
    assert first.execute(claimed(registry, "first")).status == "queued"
    assert len(taken) == 7
    second = worker_at("second")
    after_step(10**6, threading.Event().set)
    ended = second.execute(claimed(registry, "second"))
    assert (ended.status, ended.attempt, ended.resumed) == ("completed", 2, 1)
    files = [registry.catalog.resolve(f"{slug}@1").weights_sha256 for slug in ("straight", "moved")]
    assert files[0] == files[1]
    curves = [registry.runs.metrics(run.id, ["val_loss"])["val_loss"] for run in (undisturbed, moved)]
    assert curves[0] == curves[1]
    assert CHECKPOINT not in registry.run_files.names(moved.id)
    log = stored_log(registry, moved.id, 10**6)
    assert "attempt 1" in log and "attempt 2" in log and "The run is completed" in log
