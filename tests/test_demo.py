"""A public demo: what its visitors may train, and that it goes again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from loravit_web.access import NotAllowed, guest
from loravit_web.actions import Actions
from loravit_web.demo import BeyondDemo, check_time, expire
from loravit_web.modes import DemoRules
from loravit_web.service import Service
from loravit_web.settings import Settings
from loravit_web.training.estimate import Estimate
from registry import utc_now
from tests.conftest import RECIPE, ColourFolders

RULES = DemoRules(training=True, classes=2, images=24, runs=2, minutes=3, hours=24)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, mode="demo", demo=RULES)


@pytest.fixture
def visitor(service: Service) -> Actions:
    return Actions(service, service.visitor("guest-1"))


def test_a_visitor_trains_what_is_small_enough(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    dataset = visitor.import_dataset(colour_folders())
    assert visitor.queue_training(dataset, "Colours", RECIPE).created_by == "guest-1"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"names": ("red", "green", "blue")}, "at most 2 classes, and these are 3"),
        ({"per_class": 13}, "at most 24 images, and these are 26"),
    ],
)
def test_more_data_than_the_demo_takes_is_refused_with_both_numbers(
    visitor: Actions, service: Service, colour_folders: ColourFolders, data: dict[str, object], sentence: str
) -> None:
    dataset = visitor.import_dataset(colour_folders(**data))
    with pytest.raises(BeyondDemo, match=sentence):
        visitor.queue_training(dataset, "Colours", RECIPE)
    assert service.registry.runs.list() == []


def test_a_training_that_would_take_too_long_is_refused() -> None:
    cost = Estimate(seconds=600.0, memory=1, parameters=1, train_images=1, validation_images=1, epochs=1)
    with pytest.raises(BeyondDemo, match="about 10 minutes, and a demo's at most 3: choose the preset draft"):
        check_time(RULES, cost)
    check_time(RULES, replace(cost, seconds=179.0))


def test_a_visitor_makes_no_version_of_somebody_elses_adapter(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.import_dataset(colour_folders())
    service.train_now(dataset, "Colours", RECIPE, service.new_worker(), actor="shell")
    with pytest.raises(BeyondDemo, match="The name colours is taken"):
        visitor.queue_training(dataset, "Colours", RECIPE)


def test_each_visitor_has_so_many_turns_a_day(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    dataset = visitor.import_dataset(colour_folders())
    for name in ("One", "Two"):
        visitor.queue_training(dataset, name, RECIPE)
    with pytest.raises(BeyondDemo, match="2 times a day for each visitor: come again tomorrow"):
        visitor.queue_training(dataset, "Three", RECIPE)
    Actions(service, service.visitor("guest-2")).queue_training(dataset, "Three", RECIPE)


def test_without_leave_to_train_a_visitor_changes_nothing(service: Service) -> None:
    with pytest.raises(NotAllowed, match="Visitors of this public demo can't do this"):
        Actions(service, guest("guest-1", training=False)).import_dataset("sample:digits")


def test_a_visitor_touches_only_what_is_their_own(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    run = visitor.queue_training(visitor.import_dataset(colour_folders()), "Colours", RECIPE)
    other = Actions(service, service.visitor("guest-2"))
    with pytest.raises(NotAllowed, match="belongs to guest-1"):
        other.stop(run.id, keep=False)
    with pytest.raises(NotAllowed):
        visitor.promote("colours@1", "production")


def test_what_a_visitor_trained_leaves_the_catalog_when_its_time_is_over(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.import_dataset(colour_folders())
    for name, actor in (("Colours", "guest-1"), ("Kept", "shell")):
        service.train_now(dataset, name, RECIPE, service.new_worker(), actor=actor)
    assert expire(RULES, service.registry, utc_now()) == []
    assert expire(RULES, service.registry, utc_now() + timedelta(hours=25)) == ["colours"]
    assert [adapter.slug for adapter in service.registry.catalog.adapters()] == ["kept"]
