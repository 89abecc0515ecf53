"""Revisions of a dataset by one visitor, and the names with which versions answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from loravit_web.access.rights import LOCAL, NotAllowed, Visitor, member
from loravit_web.actions import Actions
from loravit_web.datasets import ImageDataset
from loravit_web.datasets.pool.source import labeled_as, open_images
from loravit_web.service import Service
from loravit_web.settings.quota import Quota, QuotaReached
from registry import Run, UnknownClass
from tests.conftest import RECIPE, train_now
from tests.datasets.makers import folder_of, png


@pytest.fixture
def dataset(service: Service, colours: Run) -> ImageDataset:
    return service.datasets.load(colours.dataset.fingerprint)


def add(actions: Actions, dataset: ImageDataset, folder: Path, name: str) -> ImageDataset:
    with open_images([folder], actions.archive_limits) as source:
        return actions.extend(dataset.fingerprint, labeled_as(source, name))


def test_a_version_on_a_revision_tells_what_changed(
    service: Service, dataset: ImageDataset, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "blue", {"1.png": png(1), "2.png": png(2), "3.png": png(3)})
    actions = Actions(service, LOCAL)
    more = add(actions, dataset, folder, "blue")
    run = train_now(service, more, "Colours", RECIPE, service.new_worker(), actor="ann")
    assert run.dataset.name == "colours, revision 2"
    lineage = service.registry.lineage.of(service.registry.catalog.version("colours@2"))
    assert more.revision is not None
    assert lineage.dataset_revision == more.revision.as_json()
    assert service.registry.lineage.of(service.registry.catalog.version("colours@1")).dataset_revision is None


def test_a_renamed_class_is_renamed_in_answers_without_a_training(
    service: Service, dataset: ImageDataset
) -> None:
    actions = Actions(service, LOCAL)
    renamed = actions.rename_class(dataset.fingerprint, "red", "rosy", in_answers=True)
    assert (renamed.dataset.classes, renamed.versions) == (("green", "rosy"), ("colours@1",))
    image = Image.new("RGB", (32, 32), (240, 30, 30))
    (answer,) = service.predictor.classify(image, ["colours"]).results
    assert {label.label for label in answer.labels} == {"rosy", "green"}
    assert service.predictor.heatmap(image, "colours", "rosy").ndim == 2
    (info,) = service.predictor.tasks()
    assert info.classes == ("green", "rosy")
    # the version keeps what it was trained with
    assert service.registry.catalog.version("colours@1").class_names == ("green", "red")
    plain = actions.rename_class(dataset.fingerprint, "green", "leafy")
    assert plain.versions == ()


def test_classes_that_no_version_knows_are_renamed_in_the_data_alone(
    service: Service, dataset: ImageDataset
) -> None:
    actions = Actions(service, LOCAL)
    first = actions.rename_class(dataset.fingerprint, "red", "rosy").dataset
    again = actions.rename_class(first.fingerprint, "rosy", "scarlet", in_answers=True)
    assert again.versions == ()
    with pytest.raises(UnknownClass):
        actions.title_class("colours@1", "rosy", "scarlet")


@contextmanager
def refused(service: Service, visitor: Visitor) -> Iterator[Actions]:
    with pytest.raises(NotAllowed):
        yield Actions(service, visitor)


def test_answers_are_renamed_by_those_who_may_change_the_catalog(
    service: Service, dataset: ImageDataset
) -> None:
    trainer = replace(member("tim", "viewer"), rights=frozenset({"train"}))
    with refused(service, trainer) as actions:
        actions.rename_class(dataset.fingerprint, "red", "rosy", in_answers=True)
    assert service.datasets.list() == [dataset.fingerprint]
    assert Actions(service, trainer).rename_class(dataset.fingerprint, "red", "rosy").versions == ()


def test_a_full_data_folder_takes_no_revision(
    service: Service, dataset: ImageDataset, tmp_path: Path
) -> None:
    service.datasets = replace(service.datasets, quota=Quota(service.settings.home, 1))
    actions = Actions(service, LOCAL)
    with pytest.raises(QuotaReached):
        actions.rename_class(dataset.fingerprint, "red", "rosy")
    with pytest.raises(QuotaReached):
        add(actions, dataset, folder_of(tmp_path / "blue", {"1.png": png(1), "2.png": png(2)}), "blue")
