"""A public demo: what its visitors may train, and that it goes again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
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

COST = Estimate(seconds=1.0, memory=1, parameters=1, train_images=1, validation_images=1, epochs=1)


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
    cost = replace(COST, seconds=600.0)
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


def test_a_retry_is_a_turn_and_meets_every_rule_of_a_first_training(
    visitor: Actions, service: Service, colour_folders: ColourFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = visitor.queue_training(visitor.import_dataset(colour_folders()), "One", RECIPE)
    visitor.stop(run.id, keep=False)
    with monkeypatch.context() as patch:
        patch.setattr(service, "estimate", lambda _dataset, _recipe: replace(COST, seconds=600.0))
        with pytest.raises(BeyondDemo, match="about 10 minutes"):
            visitor.retry(run.id, batch_size=1)
    again = visitor.retry(run.id)
    visitor.stop(again.id, keep=False)
    with pytest.raises(BeyondDemo, match="2 times a day"):
        visitor.retry(run.id)


def test_only_what_the_app_interrupted_goes_on(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    run = visitor.queue_training(visitor.import_dataset(colour_folders()), "One", RECIPE)
    visitor.stop(run.id, keep=False)
    with pytest.raises(BeyondDemo, match="goes on only with trainings that it interrupted"):
        visitor.resume(run.id)
    other = visitor.queue_training(visitor.import_dataset(colour_folders()), "Two", RECIPE)
    claimed = service.registry.runs.claim("gone")
    assert claimed is not None
    assert claimed.id == other.id
    service.registry.runs.reap(dead_worker="gone")
    assert visitor.resume(other.id).status == "queued"


def test_a_name_is_taken_as_soon_as_somebody_trains_under_it(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    dataset = visitor.import_dataset(colour_folders())
    visitor.queue_training(dataset, "Colours", RECIPE)
    second = Actions(service, service.visitor("guest-2"))
    with pytest.raises(BeyondDemo, match="The name colours is taken"):
        second.queue_training(dataset, "colours", RECIPE)
    visitor.queue_training(dataset, "Colours", RECIPE)


def test_of_many_at_one_moment_no_more_are_queued_than_may(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    dataset = visitor.import_dataset(colour_folders())
    start = threading.Barrier(6)

    def train(number: int) -> bool:
        start.wait()
        try:
            visitor.queue_training(dataset, f"Task {number}", RECIPE)
        except BeyondDemo:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(train, range(6))) == RULES.runs


def test_a_visitors_training_ends_when_the_demos_minutes_are_over(
    settings: Settings, service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.import_dataset(colour_folders())
    hurried = service.new_worker()
    hurried.settings = replace(settings, demo=replace(RULES, minutes=1e-9))
    visitors, anybodys = (
        service.train_now(dataset, name, RECIPE, hurried, actor=actor)
        for name, actor in (("One", "guest-1"), ("Two", "shell"))
    )
    assert (visitors.status, anybodys.status) == ("failed", "completed")
    assert visitors.error is not None
    assert visitors.error.startswith("The time a training may take here was over before its first epoch")


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
