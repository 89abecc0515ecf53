"""A machine without the images of a run gets them from the store."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from loravit_web.datasets import DatasetNotFound, DatasetStore, ImageDataset
from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.runs.queueing import share, share_if_here
from loravit_web.worker.fetching import FETCHED, fetch_images, remove_unused, while_away
from registry import BlobStoreUnreachable, Registry, Run
from tests.training.conftest import Queue

told: list[str] = []


def report(_fraction: float, stage: str) -> None:
    told.append(stage)


def fetched(registry: Registry, run: Run, folder: Path, *, limit_gib: float = 1) -> DatasetStore:
    there = DatasetStore(folder)
    fetch_images(registry, there, run, report, limit_gib=limit_gib)
    return there


def test_images_are_stored_once_and_fetched_by_another_machine(
    registry: Registry, queue: Queue, dataset: ImageDataset, tmp_path: Path
) -> None:
    run = queue()
    share(registry, dataset)
    stored = registry.dataset_files.digests(dataset.fingerprint)
    share(registry, dataset)
    assert registry.dataset_files.digests(dataset.fingerprint) == stored
    there = fetched(registry, run, tmp_path / "there")
    arrived = there.load(dataset.fingerprint)
    assert arrived.items == dataset.items
    assert all(arrived.image_path(item).is_file() for item in arrived.items)
    assert told[-1] == "Fetching the images, part 2 of 2"
    assert [path.name for path in there.root.iterdir()] == [dataset.fingerprint]


def test_images_that_are_here_are_not_fetched(
    registry: Registry, queue: Queue, dataset: ImageDataset, store: DatasetStore
) -> None:
    run = queue()
    share(registry, dataset)
    before = len(told)
    fetch_images(registry, store, run, report, limit_gib=1)
    assert len(told) == before
    assert not (dataset.root / FETCHED).exists()


def test_images_that_are_nowhere_are_missing(
    registry: Registry, queue: Queue, dataset: ImageDataset, tmp_path: Path
) -> None:
    run = queue()
    share_if_here(registry, DatasetStore(tmp_path / "empty"), dataset.fingerprint)
    with pytest.raises(DatasetNotFound):
        fetched(registry, run, tmp_path / "there").load(dataset.fingerprint)


def test_incomplete_images_are_refused_and_leave_nothing(
    registry: Registry, queue: Queue, dataset: ImageDataset, tmp_path: Path
) -> None:
    run = queue()
    share(registry, dataset)
    files = registry.dataset_files.digests(dataset.fingerprint)
    (name,) = (name for name in files if name.startswith("images"))
    registry.dataset_files.put(dataset.fingerprint, name, b"\0" * 10240)
    with pytest.raises(DatasetDamaged):
        fetched(registry, run, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_fetched_images_beyond_the_limit_are_removed_the_least_recently_used_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "middle", "old", "used", "imported")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "image").write_bytes(b"x" * 100)
        if name != "imported":
            (tmp_path / name / FETCHED).touch()
            os.utime(tmp_path / name / FETCHED, (1000 - age, 1000 - age))
    remove_unused(tmp_path, {"used"}, 200)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "used", "imported"}


@pytest.fixture
def away() -> Callable[[], str]:
    answers: list[str | None] = [None, None, "here"]

    def read() -> str:
        answer = answers.pop(0)
        if answer is None:
            raise BlobStoreUnreachable("s3://team", "connection refused")
        return answer

    return read


def test_a_run_waits_for_a_store_that_is_away(away: Callable[[], str]) -> None:
    before = len(told)
    assert while_away(away, report, sleep=lambda _seconds: None) == "here"
    assert told[before:] == ["Waiting for the store, which does not answer"] * 2


def test_a_run_does_not_wait_for_ever(away: Callable[[], str]) -> None:
    now = iter((0.0, 0.0, 301.0))
    with pytest.raises(BlobStoreUnreachable):
        while_away(away, report, clock=lambda: next(now), sleep=lambda _seconds: None)
