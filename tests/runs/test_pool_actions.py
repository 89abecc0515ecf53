"""A pool of images without labels teaches a task: its answers are confirmed, and join the training data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loravit_web.access.rights import LOCAL, NotAllowed, guest, member
from loravit_web.actions import Actions
from loravit_web.datasets.errors import CardIncomplete, ClassTooSmall
from loravit_web.datasets.pool.source import open_images
from loravit_web.runs.demo import BeyondDemo
from loravit_web.runs.pool_actions import NothingConfirmed, joined_text
from loravit_web.service import Service
from loravit_web.serving.pool_ranking import SeveralLabelsNotRanked, suggestions
from registry import Run, UnknownAdapter
from tests.conftest import make_colours

ANN = member("ann", "editor")


@pytest.fixture
def unlabeled(tmp_path: Path) -> Path:
    """Eight images that the task was not trained on, four of a color that it does not know."""
    return make_colours(tmp_path / "pool", per_class=4, names=("skipped", "green", "blue"))


@pytest.fixture
def filled(service: Service, colours: Run, unlabeled: Path) -> Service:
    with open_images([unlabeled / "green", unlabeled / "blue"]) as source:
        Actions(service, ANN).add_to_pool("colours", source)
    return service


def test_the_most_useful_images_come_with_answers_and_are_computed_once(
    filled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = filled.registry.catalog.resolve("colours")
    told: list[float] = []
    found = suggestions(
        filled.predictor,
        version,
        filled.pools,
        most=3,
        progress=lambda fraction, _text: told.append(fraction),
    )
    assert len(found) == 3
    assert told[-1] == 1.0
    assert {name for name, _score in found[0].labels} == {"green", "red"}
    monkeypatch.setattr(filled.predictor, "ranked", None)
    assert suggestions(filled.predictor, version, filled.pools, most=3) == found
    # what is decided is not shown again
    Actions(filled, ANN).confirm("colours", found[0].image.sha256, "green")
    Actions(filled, ANN).confirm("colours", found[1].image.sha256, None)
    rest = suggestions(filled.predictor, version, filled.pools, most=30)
    assert rest[0] == found[2]
    assert len(rest) == 6


def test_a_title_of_a_class_is_suggested_and_makes_the_answers_new(filled: Service) -> None:
    version = filled.registry.catalog.resolve("colours")
    suggestions(filled.predictor, version, filled.pools, most=1)
    titled = Actions(filled, LOCAL).title_class("colours@1", "red", "rosy")
    (first,) = suggestions(filled.predictor, titled, filled.pools, most=1)
    assert "rosy" in {name for name, _score in first.labels}


def test_confirmed_images_join_the_next_revision_and_leave_the_pool(filled: Service, colours: Run) -> None:
    actions = Actions(filled, ANN)
    images = filled.pools.images("colours")
    for image in images[:5]:
        actions.confirm("colours", image.sha256, "green")
    joined = actions.join_pool("colours")
    assert (joined.images, joined.dataset.title) == (5, "colours, revision 2")
    assert joined_text(joined) == "5 images joined “colours, revision 2”."
    assert joined.dataset.counts()["green"]["train"] == 12 + 5
    assert len(filled.pools.images("colours")) == len(images) - 5
    with pytest.raises(NothingConfirmed, match="No image of the pool of colours is confirmed"):
        actions.join_pool("colours")


def test_a_new_class_needs_two_images(filled: Service) -> None:
    actions = Actions(filled, ANN)
    first, second, *_ = filled.pools.images("colours")
    assert actions.confirm("colours", first.sha256, "  deep   blue ").label == "deep blue"
    with pytest.raises(ClassTooSmall, match="deep blue"):
        actions.join_pool("colours")
    assert len([one for one in filled.pools.images("colours") if one.label]) == 1
    actions.confirm("colours", second.sha256, "deep blue")
    assert actions.join_pool("colours").dataset.classes == ("deep blue", "green", "red")


def test_a_decision_is_undone(filled: Service) -> None:
    actions = Actions(filled, ANN)
    image = filled.pools.images("colours")[0]
    actions.confirm("colours", image.sha256, "red")
    assert actions.reopen("colours", image.sha256).is_open
    with pytest.raises(CardIncomplete, match="The image has no class"):
        actions.confirm("colours", image.sha256, "  ")


def test_pools_belong_to_tasks_and_not_to_visitors_of_a_demo(filled: Service) -> None:
    visitor = guest("guest-1", training=True)
    for act in (
        lambda actions: actions.delete_from_pool("other"),
        lambda actions: actions.delete_from_pool("colours"),
        lambda actions: actions.join_pool("colours"),
        lambda actions: actions.confirm("colours", "1234", "red"),
    ):
        with pytest.raises(BeyondDemo, match="keeps no images without labels"):
            act(Actions(filled, visitor))
    with pytest.raises(UnknownAdapter):
        Actions(filled, ANN).join_pool("nothing")


def test_only_an_admin_lets_images_of_requests_be_kept(filled: Service) -> None:
    with pytest.raises(NotAllowed, match="This needs an admin"):
        Actions(filled, ANN).collect("colours", on=True)
    Actions(filled, LOCAL).collect("colours", on=True)
    Actions(filled, ANN).delete_from_pool("colours")
    assert filled.pools.is_collecting("colours"), "not an admin switched it off"
    Actions(filled, LOCAL).collect("colours", on=False)
    assert not filled.pools.is_collecting("colours")


def test_the_pool_of_a_deleted_task_goes_with_it(filled: Service) -> None:
    Actions(filled, LOCAL).delete_adapter("colours")
    assert filled.pools.tasks() == []


def test_a_pool_that_a_deleted_task_left_can_be_deleted(filled: Service) -> None:
    filled.registry.deletions.delete_adapter("colours", actor="ann")
    assert Actions(filled, ANN).delete_from_pool("colours") == 8


def test_a_task_with_several_labels_suggests_nothing(filled: Service) -> None:
    version = filled.registry.catalog.resolve("colours")
    several = replace(version, config={**version.config, "labels": "many"})
    with pytest.raises(SeveralLabelsNotRanked, match="has several labels per image"):
        suggestions(filled.predictor, several, filled.pools, most=1)
