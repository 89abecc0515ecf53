"""A public demo: what its visitors may train, and that it goes again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from loravit_web.access.rights import NotAllowed, guest
from loravit_web.actions import Actions
from loravit_web.datasets import DatasetNotFound
from loravit_web.runs.admission import Admission
from loravit_web.runs.demo import BeyondDemo, check_time, slug_of
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.modes import DemoRules
from loravit_web.training.estimate import Estimate
from registry import UnknownAdapter, UnknownRun, utc_now
from tests.conftest import RECIPE, ColourFolders, train_now

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
        ({"names": ("red", "green", "blue")}, "has 3 classes, but the limit of this demo is 2"),
        ({"per_class": 13}, "has 26 images, but the limit of this demo is 24"),
    ],
)
def test_more_data_than_the_demo_takes_is_refused_with_both_numbers(
    visitor: Actions, service: Service, colour_folders: ColourFolders, data: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BeyondDemo, match=sentence):
        visitor.import_dataset(colour_folders(**data))
    assert not service.datasets.root.exists()


def test_a_training_that_would_take_too_long_is_refused() -> None:
    cost = replace(COST, seconds=600.0)
    with pytest.raises(
        BeyondDemo, match="about 10 minutes, but the limit of this demo is 3. Choose the preset draft"
    ):
        check_time(RULES, cost)
    check_time(RULES, replace(cost, seconds=179.0))


def test_a_visitor_makes_no_version_of_an_adapter_of_the_demo(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.datasets.import_source(colour_folders())
    train_now(service, dataset, "Colours", RECIPE, service.new_worker(), actor="shell")
    dataset = visitor.import_dataset(colour_folders())
    with pytest.raises(BeyondDemo, match="The name colours is taken"):
        visitor.queue_training(dataset, "Colours", RECIPE)


def test_each_visitor_has_so_many_turns_a_day(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    dataset = visitor.import_dataset(colour_folders())
    for name in ("One", "Two"):
        visitor.queue_training(dataset, name, RECIPE)
    with pytest.raises(BeyondDemo, match="limit of 2 runs per day. Try again tomorrow"):
        visitor.queue_training(dataset, "Three", RECIPE)
    second = Actions(service, service.visitor("guest-2"))
    second.queue_training(second.import_dataset(colour_folders()), "Three", RECIPE)


def test_a_new_name_is_no_new_turn(service: Service, colour_folders: ColourFolders) -> None:
    def train(number: int) -> None:
        visitor = Actions(service, guest(f"guest-{number}", training=True, source="10.0.0.1"))
        visitor.queue_training(visitor.import_dataset(colour_folders()), "Colours", RECIPE)

    train(1)
    train(2)
    with pytest.raises(BeyondDemo, match="limit of 2 runs per day. Try again tomorrow"):
        train(3)


def test_a_retry_is_a_turn_and_meets_every_rule_of_a_first_training(
    visitor: Actions, service: Service, colour_folders: ColourFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = visitor.queue_training(visitor.import_dataset(colour_folders()), "One", RECIPE)
    visitor.stop(run.id, keep=False)
    slow = Admission(service.registry, service.settings, cost_of=lambda *_: replace(COST, seconds=600.0))
    with monkeypatch.context() as patch:
        patch.setattr(service, "admission", slow)
        with pytest.raises(BeyondDemo, match="about 10 minutes"):
            Actions(service, visitor.visitor).retry(run.id, batch_size=1)
    again = visitor.retry(run.id)
    visitor.stop(again.id, keep=False)
    with pytest.raises(BeyondDemo, match="2 runs per day"):
        visitor.retry(run.id)


def test_only_what_the_app_interrupted_goes_on(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    run = visitor.queue_training(visitor.import_dataset(colour_folders()), "One", RECIPE)
    visitor.stop(run.id, keep=False)
    with pytest.raises(BeyondDemo, match="only resumes runs that it interrupted"):
        visitor.resume(run.id)
    other = visitor.queue_training(visitor.import_dataset(colour_folders()), "Two", RECIPE)
    claimed = service.registry.runs.claim("gone")
    assert claimed is not None
    assert claimed.id == other.id
    service.registry.runs.reap(dead={"gone": None})
    assert visitor.resume(other.id).status == "queued"


def test_two_visitors_give_the_same_name_and_hear_nothing_of_each_other(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    second = Actions(service, service.visitor("guest-2"))
    runs = [
        one.queue_training(one.import_dataset(colour_folders()), "Colours", RECIPE)
        for one in (visitor, second, visitor)
    ]
    assert [run.title for run in runs] == ["Colours"] * 3
    assert runs[0].slug == runs[2].slug == slug_of("guest-1", "colours")
    assert runs[1].slug == slug_of("guest-2", "colours") != runs[0].slug
    assert all(run.slug.startswith("colours-") for run in runs)


def test_a_slug_of_a_visitor_stays_a_slug_and_itself() -> None:
    longest = "a" * 63
    own = slug_of("guest-1", longest)
    assert len(own) == 63
    assert slug_of("guest-1", own) == own
    assert slug_of("ann", longest) == longest


def test_a_visitor_trains_on_no_images_but_their_own(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    second = Actions(service, service.visitor("guest-2"))
    of_the_demo = service.datasets.import_source(colour_folders())
    for dataset in (second.import_dataset(colour_folders()), of_the_demo):
        with pytest.raises(DatasetNotFound):
            visitor.queue_training(dataset, "Colours", RECIPE)
        with pytest.raises(DatasetNotFound):
            visitor.import_dataset(f"dataset:{dataset.fingerprint}")
        with pytest.raises(DatasetNotFound):
            visitor.correct(dataset.fingerprint, {})


def test_nothing_is_fetched_from_the_hub_for_a_visitor(
    visitor: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loravit_web.actions.from_hub", lambda *_given, **_named: pytest.fail("it was"))
    with pytest.raises(BeyondDemo, match="cannot import datasets from the Hub. Upload a zip"):
        visitor.import_from_hub("owner/name")


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
    dataset = service.datasets.import_source(colour_folders())
    hurried = service.new_worker()
    hurried.settings = replace(settings, demo=replace(RULES, minutes=1e-9))
    visitors, anybodys = (
        train_now(service, dataset, name, RECIPE, hurried, actor=actor)
        for name, actor in (("One", "guest-1"), ("Two", "shell"))
    )
    assert (visitors.status, anybodys.status) == ("failed", "completed")
    assert visitors.error is not None
    assert visitors.error.startswith("The time limit for a training was reached before its first epoch")


def test_without_leave_to_train_a_visitor_changes_nothing(service: Service) -> None:
    with pytest.raises(NotAllowed, match="Visitors of this public demo cannot do this"):
        Actions(service, guest("guest-1", training=False)).import_dataset("sample:digits")


def test_a_visitor_touches_only_what_is_their_own(
    visitor: Actions, service: Service, colour_folders: ColourFolders
) -> None:
    run = visitor.queue_training(visitor.import_dataset(colour_folders()), "Colours", RECIPE)
    other = Actions(service, service.visitor("guest-2"))
    for act in (
        lambda: other.stop(run.id, keep=False),
        lambda: other.resume(run.id),
        lambda: other.retry(run.id),
    ):
        with pytest.raises(UnknownRun):
            act()
    with pytest.raises(NotAllowed):
        visitor.promote("colours@1", "production")


def test_what_a_visitor_trained_is_deleted_when_its_time_is_over(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.datasets.import_source(colour_folders())
    for name, actor in (("Colours", "guest-1"), ("Kept", "shell")):
        train_now(service, dataset, name, RECIPE, service.new_worker(), actor=actor)
    assert not service.expire(utc_now())
    slug = slug_of("guest-1", "colours")
    assert service.expire(utc_now() + timedelta(hours=25)).adapters == {slug}
    with pytest.raises(UnknownAdapter):
        service.registry.catalog.resolve(f"{slug}@1")
    assert [one.slug for one in service.registry.catalog.adapters(include_archived=True)] == ["kept"]
