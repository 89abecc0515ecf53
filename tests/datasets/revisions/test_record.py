"""What changed between two revisions is counted by image and told in words."""

from __future__ import annotations

import json

import pytest

from loravit_web.datasets.revisions.record import Revision, counted_changes, title_of

BEFORE = [("train", "a", ("cat",)), ("train", "b", ("dog",)), ("test", "a", ("cat",))]


@pytest.mark.parametrize(
    ("after", "names", "counted"),
    [
        (BEFORE, {}, (0, 0, 0)),
        ([*BEFORE, ("train", "c", ("dog",))], {}, (1, 0, 0)),
        (BEFORE[1:], {}, (0, 1, 0)),
        ([("train", "a", ("dog",)), *BEFORE[1:]], {}, (0, 0, 1)),
        ([("train", "c", ("dog",)), *BEFORE[1:]], {}, (1, 1, 0)),
        # renamed images have not moved
        (
            [(split, sha, ("kitten",) if sha == "a" else names) for split, sha, names in BEFORE],
            {"cat": "kitten"},
            (0, 0, 0),
        ),
        ([(split, sha, ("pet",)) for split, sha, _ in BEFORE], {"cat": "pet", "dog": "pet"}, (0, 0, 0)),
    ],
)
def test_changes_are_counted_by_image(
    after: list[tuple[str, str, tuple[str, ...]]], names: dict[str, str], counted: tuple[int, int, int]
) -> None:
    assert counted_changes(BEFORE, after, names) == counted


def test_an_image_in_two_classes_that_leaves_one_is_left_out_there() -> None:
    twice = [("train", "a", ("cat",)), ("train", "a", ("dog",))]
    assert counted_changes(twice, twice[:1], {}) == (0, 1, 0)
    assert counted_changes(twice[:1], twice, {}) == (1, 0, 0)


def test_the_changes_are_one_phrase() -> None:
    revision = Revision(2, "a", "a", 3, 1, 2, (("cat", "Cat"),), (("pup", "dog"),))
    assert revision.changes == (
        "3 images added, 1 image left out, 2 images moved to another class, “cat” renamed to “Cat”, "
        "“pup” merged into “dog”"
    )
    many = Revision(2, "a", "a", merged=tuple((str(number), "digit") for number in range(7)))
    assert many.changes == "7 classes merged: 0, 1, 2, 3, 4 and 2 more"


def test_a_record_is_read_back() -> None:
    revision = Revision(4, "a", "b", 1, 2, 3, (("x", "y"),), (("v", "w"),))
    assert Revision.from_json(json.loads(json.dumps(revision.as_json()))) == revision
    assert Revision.from_json(None) is None


def test_revision_1_has_no_number_in_its_title() -> None:
    assert title_of("pets", None) == "pets"
    assert title_of("pets", Revision(2, "a", "a")) == "pets, revision 2"
