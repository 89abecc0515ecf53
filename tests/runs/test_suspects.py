"""From a run to the images whose label looks wrong, and from a dataset to its last run."""

from __future__ import annotations

import pytest

from loravit_web.runs.suspects import doubted_images, doubted_of_task, last_suspects, suspects_of_run
from loravit_web.service import Service
from loravit_web.training.files.suspects import SUSPECTS, Suspect, Suspects, write_suspects
from registry import Run


def test_suspects_are_found_among_the_images_of_the_dataset(service: Service, colours: Run) -> None:
    dataset = service.datasets.load(colours.dataset.fingerprint)
    item = next(item for item in dataset.items if dataset.classes[item.label] == "red")
    green = dataset.classes.index("green")
    suspect = Suspect(item.sha256, item.label, green, 0.9)
    (found,) = doubted_images(Suspects(24, (suspect, Suspect("f" * 64, 0, 1, 0.8))), dataset)
    assert (found.item.sha256, found.label, found.suggested) == (item.sha256, "red", "green")
    assert found.probability == 0.9


def test_the_suspects_of_a_task_are_those_of_its_newest_data(service: Service, colours: Run) -> None:
    assert colours.published is not None
    dataset = service.datasets.load(colours.dataset.fingerprint)
    found = Suspects(24, (Suspect(dataset.items[0].sha256, dataset.items[0].label, 1, 0.9),))
    service.registry.run_files.put(colours.id, SUSPECTS, write_suspects(found))
    (doubted,) = doubted_of_task(service.registry, service.datasets, colours.slug)
    assert doubted.item == dataset.items[0]


def test_the_newest_run_with_suspects_counts(service: Service, colours: Run) -> None:
    first = Suspects(24, (Suspect("a" * 64, 0, 1, 0.9),))
    service.registry.run_files.put(colours.id, SUSPECTS, write_suspects(first))
    assert suspects_of_run(service.registry, colours.id) == first
    assert last_suspects(service.registry, colours.dataset.fingerprint) == first


def test_a_dataset_without_runs_and_a_run_of_an_older_version_have_no_suspects(
    service: Service, colours: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert last_suspects(service.registry, "0" * 64) is None
    monkeypatch.setattr("loravit_web.runs.suspects.SUSPECTS", "something-else.json")
    assert suspects_of_run(service.registry, colours.id) is None
    assert last_suspects(service.registry, colours.dataset.fingerprint) is None
