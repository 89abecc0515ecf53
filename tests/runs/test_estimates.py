"""What a training will take, said before it begins."""

from __future__ import annotations

from dataclasses import replace

from loravit_web.service import Service
from tests.conftest import RECIPE, ColourFolders, train_now


def test_the_estimate_is_of_the_images_and_epochs_that_the_run_then_has(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.datasets.import_source(colour_folders())
    recipe = replace(RECIPE, floor=False)  # the published version is the trained adapter
    said = service.estimates.of(dataset, recipe)
    run = train_now(service, dataset, "Colours", recipe, service.new_worker())
    version = service.registry.catalog.resolve(run.published or "")
    assert said.parameters == version.n_params
    assert (said.epochs, said.train_images) == (3, 20)  # of two times twelve a fifth is held out
    assert said.seconds > 0
    assert service.estimates.of(dataset, recipe).memory == said.memory


def test_an_estimate_is_known_once_its_settings_were_measured(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.datasets.import_source(colour_folders())
    assert service.estimates.known(dataset, RECIPE) is None
    measured = service.estimates.of(dataset, RECIPE)
    known = service.estimates.known(dataset, RECIPE)
    assert known is not None
    assert (known.memory, known.epochs) == (measured.memory, measured.epochs)
    longer = service.estimates.known(dataset, replace(RECIPE, epochs=30))  # of the same pace
    assert longer is not None
    assert longer.seconds > known.seconds
    assert service.estimates.known(dataset, replace(RECIPE, image_size=40)) is None
