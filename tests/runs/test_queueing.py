"""From images, a name and a recipe to a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loravit_web.access.rights import LOCAL, member
from loravit_web.actions import Actions
from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.runs.queueing import unfinished_twin
from loravit_web.service import Service
from loravit_web.training.recipe import Recipe
from registry import Run
from tests.conftest import RECIPE, ColourFolders, train_now


def test_a_queued_run_waits_for_a_worker(service: Service, colour_folders: ColourFolders) -> None:
    dataset = service.datasets.import_source(colour_folders())
    run = Actions(service, LOCAL).queue_training(dataset, "Colours", RECIPE)
    assert run.status == "queued"
    service.new_worker().work(idle_exit=0.0)
    assert service.registry.runs.get(run.id).status == "completed"


def test_a_setting_that_does_not_fit_the_base_is_refused_before_a_run_exists(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.datasets.import_source(colour_folders())
    with pytest.raises(Exception, match="multiple of its patch size 8"):
        Actions(service, LOCAL).queue_training(dataset, "Colours", replace(RECIPE, image_size=33))
    with pytest.raises(Exception, match="The base has 3 blocks"):
        Actions(service, LOCAL).queue_training(
            dataset, "Colours", replace(RECIPE, adapter=ViTAdapterConfig(blocks=9))
        )
    assert service.registry.runs.list() == []


def test_who_asked_for_a_training_is_on_the_run_and_made_the_version(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.datasets.import_source(colour_folders())
    run = train_now(service, dataset, "Colours", RECIPE, service.new_worker(), actor="ann")
    assert run.created_by == "ann"
    assert service.registry.catalog.resolve("colours").created_by == "ann"
    assert service.registry.catalog.adapter("colours").owner == "ann"
    assert (
        Actions(service, member("bob", "editor")).queue_training(dataset, "Colours", RECIPE).created_by
        == "bob"
    )


def test_the_same_training_is_found_while_it_waits(service: Service, colour_folders: ColourFolders) -> None:
    dataset = service.datasets.import_source(colour_folders())
    actions = Actions(service, LOCAL)
    run = actions.queue_training(dataset, "Colours", RECIPE)

    def twin(name: str = "Colours", recipe: Recipe = RECIPE, base: str = "tiny") -> Run | None:
        data = dataset.fingerprint
        return unfinished_twin(service.registry, base, data, name, recipe, owner=LOCAL.name)

    assert twin() == twin("colours") == run
    assert twin("Other") is None
    assert twin(recipe=replace(RECIPE, seed=1)) is None
    assert twin(base="another") is None
    actions.stop(run.id, keep=False)
    assert twin() is None
