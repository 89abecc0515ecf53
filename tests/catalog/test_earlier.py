"""A worse version does not become the one that people get by the name of the adapter."""

from __future__ import annotations

import pytest

from loravit_web.access.rights import LOCAL
from loravit_web.actions import Actions
from loravit_web.catalog.earlier import Compared, Measured, before, compare, lower_text
from loravit_web.datasets import ImageDataset
from loravit_web.service import Service
from loravit_web.training.recipe import Recipe
from registry import DEFAULT_ALIAS, Run, Version
from tests.conftest import train_now

ONE, OTHER = frozenset({"a", "b"}), frozenset({"c"})


def swapped(service: Service, run: Run) -> ImageDataset:
    """The data of a run with the classes of all test images swapped, so that answers are wrong."""
    dataset = service.datasets.load(run.dataset.fingerprint)
    changes = {(item.sha256, item.label): dataset.classes[1 - item.label] for item in dataset.select("test")}
    return Actions(service, LOCAL).correct(dataset.fingerprint, changes)


def trained(service: Service, run: Run, dataset: ImageDataset, seed: int = 0) -> Run:
    recipe = Recipe.from_json({**run.config, "seed": seed})
    return train_now(service, dataset, run.title, recipe, service.new_worker(), actor="ann")


def meant(service: Service) -> str:
    return service.registry.catalog.resolve("colours").ref


def answering(service: Service) -> list[str]:
    return [info.task for info in service.predictor.tasks()]


def test_a_worse_version_waits_for_a_decision(service: Service, colours: Run) -> None:
    worse = trained(service, colours, swapped(service, colours))
    assert worse.published == "colours@2"
    assert (meant(service), answering(service)) == ("colours@1", ["colours@1"])
    assert worse.note is not None
    assert "Version 1 stays the default: the new version is" in worse.note
    assert "points less accurate on the same 8 test images." in worse.note
    (move,) = service.registry.aliases.history("colours")
    assert (move.alias, move.after, move.moved_by) == (DEFAULT_ALIAS, 1, "ann")

    # a user decides for it, and later back
    Actions(service, LOCAL).remove_alias("colours", DEFAULT_ALIAS)
    assert answering(service) == ["colours@2"]
    Actions(service, LOCAL).promote("colours@1", DEFAULT_ALIAS)
    assert answering(service) == ["colours@1"]


def test_a_version_that_is_not_worse_is_what_people_get(service: Service, colours: Run) -> None:
    data = service.datasets.load(colours.dataset.fingerprint)
    trained(service, colours, swapped(service, colours))
    assert meant(service) == "colours@1"
    better = trained(service, colours, data, seed=1)
    assert better.published == "colours@3"
    assert (meant(service), service.registry.aliases.list("colours")) == ("colours@3", [])


def test_a_protected_default_stays(service: Service, colours: Run) -> None:
    actions, data = Actions(service, LOCAL), service.datasets.load(colours.dataset.fingerprint)
    actions.promote("colours@1", DEFAULT_ALIAS)
    actions.protect_alias("colours", DEFAULT_ALIAS)
    assert trained(service, colours, data, seed=1).published == "colours@2"
    assert meant(service) == "colours@1"


def test_the_version_before_is_the_one_that_people_got(service: Service, colours: Run) -> None:
    data = service.datasets.load(colours.dataset.fingerprint)
    trained(service, colours, swapped(service, colours))
    first, second = (service.registry.catalog.version(f"colours@{number}") for number in (1, 2))
    assert before(service.registry, first) is None
    assert before(service.registry, second) == first
    compared = compare(service.registry, second, first)
    assert compared is not None
    assert (compared.split, compared.same_images, compared.is_worse) == ("test", True, True)
    trained(service, colours, data, seed=1)
    third = service.registry.catalog.version("colours@3")
    assert before(service.registry, third) == first


@pytest.mark.parametrize(
    ("new", "old", "worse"),
    [
        (Measured(2, 0.5, ONE), Measured(2, 1.0, ONE), True),
        (Measured(2, 1.0, ONE), Measured(2, 1.0, ONE), False),
        (Measured(2, 0.5, OTHER), Measured(2, 1.0, ONE), False),  # noise
        (Measured(200, 0.5, OTHER), Measured(200, 0.9, ONE), True),
        (Measured(200, 0.5, None), Measured(200, 0.9, None), True),
        (Measured(200, 0.88, None), Measured(200, 0.9, None), False),
    ],
)
def test_lower_on_the_same_images_is_worse_and_on_others_only_beyond_noise(
    service: Service, colours: Run, new: Measured, old: Measured, worse: bool
) -> None:
    version: Version = service.registry.catalog.resolve(colours.published or "")
    compared = Compared(version, "test", new, old)
    low, high = compared.interval
    assert low <= compared.points <= high
    assert compared.is_worse == worse
    assert lower_text(compared).startswith(f"{-compared.points:.1f} points less accurate on ")
