"""Which replica answers: the one that saw the image, while it is not overloaded."""

from __future__ import annotations

from collections import Counter

import pytest

from loravit_web.cluster.ring import BOUND, HOLDERS, UNBOUNDED, Ring, Route, preferred

IMAGES = [f"image-{n}" for n in range(300)]
THREE = Ring(["a", "b", "c"])


def first(ring: Ring, image: str) -> str:
    return preferred(ring, Route(image), {})[0]


def test_an_image_goes_to_the_same_replica_each_time_in_every_process() -> None:
    again = Ring(["c", "a", "b"])
    assert [first(THREE, image) for image in IMAGES] == [first(again, image) for image in IMAGES]


def test_images_are_spread_over_the_replicas() -> None:
    counts = Counter(first(THREE, image) for image in IMAGES)
    assert set(counts) == {"a", "b", "c"}
    assert min(counts.values()) > len(IMAGES) / 3 / 2


def test_a_lost_replica_moves_only_its_own_images() -> None:
    two = Ring(["a", "b"])
    moved = [image for image in IMAGES if first(THREE, image) != first(two, image)]
    assert moved == [image for image in IMAGES if first(THREE, image) == "c"]


def test_a_new_replica_takes_images_and_moves_no_others() -> None:
    four = Ring(["a", "b", "c", "d"])
    moved = [image for image in IMAGES if first(THREE, image) != first(four, image)]
    assert {first(four, image) for image in moved} == {"d"}
    assert len(moved) < len(IMAGES) / 2


def test_a_replica_with_too_many_requests_passes_an_image_on_in_the_order_of_the_ring() -> None:
    busy, following, _ = preferred(THREE, Route("image-0"), {})
    assert preferred(THREE, Route("image-0"), {busy: 4})[0] == following
    assert preferred(THREE, Route("image-0"), {busy: 4})[-1] == busy
    assert preferred(THREE, Route("image-0"), {busy: 4, following: 4})[0] not in (busy, following)


@pytest.mark.parametrize("image", IMAGES[:5])
def test_one_hot_image_loads_no_replica_above_the_bound(image: str) -> None:
    loads: Counter[str] = Counter()
    for _ in range(120):
        loads[preferred(THREE, Route(image), loads)[0]] += 1
    assert max(loads.values()) <= BOUND * 120 / 3 + 1


def test_few_requests_do_not_drive_an_image_away() -> None:
    first_choice = first(THREE, "image-0")
    loads = {first_choice: UNBOUNDED - 1}
    assert preferred(THREE, Route("image-0"), loads)[0] == first_choice


def test_with_equal_loads_the_image_stays_with_its_replica() -> None:
    assert preferred(THREE, Route("image-0"), {"a": 8, "b": 8, "c": 8}) == preferred(
        THREE, Route("image-0"), {}
    )


def test_another_base_is_held_by_few_replicas_which_share_its_images() -> None:
    ring = Ring([f"replica-{n}" for n in range(6)])
    firsts = {preferred(ring, Route(image, base="other"), {})[0] for image in IMAGES}
    assert len(firsts) == HOLDERS
    assert set(preferred(ring, Route("image-0", base="other"), {})) == ring.replicas


def test_overloaded_holders_of_a_base_pass_images_on() -> None:
    ring = Ring([f"replica-{n}" for n in range(6)])
    holders = {preferred(ring, Route(image, base="other"), {})[0] for image in IMAGES}
    loads = dict.fromkeys(holders, 9)
    assert preferred(ring, Route("image-0", base="other"), loads)[0] not in holders


def test_each_attempt_begins_with_another_replica() -> None:
    assert {preferred(THREE, Route("image-0", attempt=n), {})[0] for n in range(3)} == {"a", "b", "c"}
    assert preferred(THREE, Route("image-0", attempt=3), {}) == preferred(THREE, Route("image-0"), {})


def test_without_replicas_there_is_no_order() -> None:
    assert preferred(Ring([]), Route("image-0"), {}) == []
