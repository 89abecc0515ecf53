"""Pools: images without labels, with what people decided on each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loravit_web.datasets.pool.record import PoolImage
from loravit_web.datasets.pool.source import confirmed_source, open_images
from loravit_web.datasets.pool.store import DAY_SECONDS, Added, PoolFull, PoolImageNotFound, PoolStore
from loravit_web.settings.limits import Limits
from loravit_web.settings.quota import Quota, QuotaReached
from tests.datasets.makers import folder_of, png

LIMITS = Limits(pool_images=5, collected_images=2, collected_days=3)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pools(tmp_path: Path, clock: Clock) -> PoolStore:
    return PoolStore(tmp_path / "pools", LIMITS, clock=clock)


def added(pools: PoolStore, folder: Path, files: dict[str, bytes]) -> Added:
    with open_images([folder_of(folder, files)]) as source:
        return pools.add("pets", source, by="ann")


def test_images_are_added_once_whatever_their_folders_are_called(pools: PoolStore, tmp_path: Path) -> None:
    files = {"cat/1.png": png(1), "test/2.png": png(2), "same.png": png(1), "broken.png": b"x", "a.txt": b"x"}
    first = added(pools, tmp_path / "a", files)
    assert len(first.images) == 2
    assert first.known == 1
    assert {entry.path for entry in first.skipped} == {"broken.png", "a.txt"}
    again = added(pools, tmp_path / "b", {"1.png": png(1), "3.png": png(3)})
    assert ([one.path for one in again.images], again.known) == (["3.png"], 1)
    images = pools.images("pets")
    assert len(images) == 3
    assert all(one.is_open and one.added_by == "ann" and one.origin == "upload" for one in images)
    assert all(pools.image_path("pets", one).read_bytes() for one in images)
    assert pools.tasks() == ["pets"]


def test_a_decision_is_recorded_and_undone(pools: PoolStore, tmp_path: Path) -> None:
    image = added(pools, tmp_path / "a", {"1.png": png(1)}).images[0]
    decided = pools.decide("pets", image.sha256[:10], "cat", by="bob")
    assert (decided.label, decided.confirmed_by, decided.is_open) == ("cat", "bob", False)
    assert pools.images("pets") == [decided]
    skipped = pools.decide("pets", "1.png", None, by="bob", is_skipped=True)
    assert (skipped.label, skipped.is_skipped) == (None, True)
    assert pools.decide("pets", "1.png", None, by="bob") == image
    with pytest.raises(PoolImageNotFound, match="There is no image called “9.png” in the pool of pets"):
        pools.decide("pets", "9.png", "cat", by="bob")


def test_a_pool_is_counted(pools: PoolStore, tmp_path: Path) -> None:
    for image, label in zip(
        added(pools, tmp_path / "a", {f"{n}.png": png(n) for n in range(3)}).images,
        ["cat", None],
        strict=False,
    ):
        pools.decide("pets", image.sha256, label, by="bob", is_skipped=label is None)
    pools.collect("pets", True)
    summary = pools.summary("pets")
    assert (summary.images, summary.open, summary.confirmed, summary.skipped) == (3, 1, 1, 1)
    assert (summary.from_use, summary.is_collecting) == (0, True)
    pools.collect("pets", False)
    assert not pools.summary("pets").is_collecting
    assert pools.summary("other").images == 0


def test_a_pool_has_limits(pools: PoolStore, tmp_path: Path) -> None:
    added(pools, tmp_path / "a", {f"{n}.png": png(n) for n in range(4)})
    with pytest.raises(PoolFull, match="has 4 images, and its limit is 5. Add fewer than 2 images"):
        added(pools, tmp_path / "b", {f"{n}.png": png(n) for n in (8, 9)})
    full = PoolStore(pools.root, LIMITS, Quota(pools.root, 1))
    with pytest.raises(QuotaReached):
        added(full, tmp_path / "c", {"1.png": png(9)})


def test_images_of_requests_make_room_for_newer_ones_and_are_deleted_in_time(
    pools: PoolStore, clock: Clock
) -> None:
    def keep(number: int) -> bool:
        return pools.keep("pets", png(number), f"{number:064x}", ".png")

    assert [keep(1), keep(1), keep(2)] == [True, False, True]
    clock.now += DAY_SECONDS
    keep(3)
    assert [int(one.sha256, 16) for one in pools.images("pets")] == [2, 3]
    assert {(one.origin, one.added_by) for one in pools.images("pets")} == {("use", "")}
    clock.now += 2.5 * DAY_SECONDS
    assert [int(one.sha256, 16) for one in pools.images("pets")] == [3]
    assert len(list(pools.root.rglob("*.png"))) == 1


def test_a_kept_image_that_a_person_confirmed_makes_no_room(pools: PoolStore) -> None:
    for number in (1, 2, 3):
        pools.keep("pets", png(number), f"{number:064x}", ".png")
        if number == 1:
            pools.decide("pets", f"{1:064x}", "cat", by="ann")
    assert [int(one.sha256, 16) for one in pools.images("pets")] == [1, 2, 3]


def test_images_and_pools_are_deleted(pools: PoolStore, tmp_path: Path) -> None:
    images = added(pools, tmp_path / "a", {f"{n}.png": png(n) for n in range(3)}).images
    assert pools.remove("pets", [images[0].sha256, "../../secret", "0" * 64]) == 1
    assert len(pools.images("pets")) == 2
    assert not pools.image_path("pets", images[0]).exists()
    assert pools.remove("pets") == 2
    assert (pools.tasks(), pools.remove("pets")) == ([], 0)


@pytest.mark.parametrize("name", ["../pets", "", "Pets", "a/b", "."])
def test_only_the_name_of_a_task_names_a_pool(pools: PoolStore, name: str) -> None:
    with pytest.raises(PoolImageNotFound, match="is not the name of a task"):
        pools.images(name)


def test_a_damaged_entry_is_left_out(pools: PoolStore, tmp_path: Path) -> None:
    images = added(pools, tmp_path / "a", {f"{n}.png": png(n) for n in range(3)}).images
    entry = pools.root / "pets" / "entries" / f"{images[0].sha256}.json"
    for content in ("{", "[]", json.dumps({**images[0].as_json(), "origin": "elsewhere"})):
        entry.write_text(content)
        assert len(pools.images("pets")) == 2
    with pytest.raises(TypeError):
        PoolImage.from_json({"sha256": "a"})


def test_confirmed_images_are_training_images_of_their_class(pools: PoolStore, tmp_path: Path) -> None:
    image = added(pools, tmp_path / "a", {"1.png": png(1)}).images[0]
    decided = pools.decide("pets", image.sha256, "cat", by="bob")
    source = confirmed_source("pets", [(decided, pools.image_path("pets", decided))])
    (place,) = source.plan.placements
    assert (place.split, place.class_names, source.read(place.index)) == ("train", ("cat",), png(1))
