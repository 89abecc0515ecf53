"""Corrections make another dataset, and the first one stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from loravit_web.datasets import DatasetNotFound, DatasetStore, ImageDataset, relabelled, store
from loravit_web.datasets.errors import ClassTooSmall, DatasetDamaged
from loravit_web.datasets.relabel import NothingChanged

from .makers import CATS_AND_DOGS, pictures, zip_of


@pytest.fixture
def datasets(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=1)


@pytest.fixture
def pets(datasets: DatasetStore, tmp_path: Path) -> ImageDataset:
    return datasets.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))


def by_path(dataset: ImageDataset) -> dict[str, str]:
    return {item.path: dataset.classes[item.label] for item in dataset.items}


def key(dataset: ImageDataset, path: str) -> tuple[str, int]:
    return next((item.sha256, item.label) for item in dataset.items if item.path == path)


def test_an_image_gets_another_class_and_the_name_tells_the_lineage(
    datasets: DatasetStore, pets: ImageDataset
) -> None:
    derived = relabelled(datasets, pets, {key(pets, "cat/1.png"): "dog"})
    assert by_path(derived) == {**by_path(pets), "cat/1.png": "dog"}
    assert derived.name == f"pets (1 changed from {pets.fingerprint[:8]})"
    assert derived.fingerprint != pets.fingerprint
    assert datasets.load(derived.fingerprint) == derived
    assert datasets.load(pets.fingerprint) == pets
    assert all(derived.image_path(item).read_bytes() for item in derived.items)


def test_an_image_can_be_left_out_or_begin_a_new_class(datasets: DatasetStore, pets: ImageDataset) -> None:
    derived = relabelled(datasets, pets, {key(pets, "cat/1.png"): None})
    assert set(by_path(derived)) == set(by_path(pets)) - {"cat/1.png"}
    changes = {key(pets, f"dog/{n}.png"): " Wolf  cub " for n in (1, 2)}
    assert relabelled(datasets, pets, changes).classes == ("cat", "Wolf cub")


def test_a_second_correction_names_only_what_it_was_made_from(
    datasets: DatasetStore, pets: ImageDataset
) -> None:
    first = relabelled(datasets, pets, {key(pets, "cat/1.png"): "dog"})
    second = relabelled(datasets, first, {key(first, "cat/1.png"): "cat"})
    assert second.fingerprint == pets.fingerprint
    third = relabelled(datasets, first, {key(first, "dog/1.png"): None})
    assert third.name == f"pets (1 changed from {first.fingerprint[:8]})"


def test_an_image_is_changed_in_every_split(datasets: DatasetStore, tmp_path: Path) -> None:
    files = pictures(f"train/{name}/{n}.png" for name in "ab" for n in range(3))
    twice = {**files, "test/a/0.png": files["train/a/0.png"]}
    dataset = datasets.import_source(zip_of(tmp_path / "twice.zip", twice))
    derived = relabelled(datasets, dataset, {key(dataset, "test/a/0.png"): "b"})
    assert by_path(derived)["test/a/0.png"] == by_path(derived)["train/a/0.png"] == "b"


def test_what_no_classifier_could_learn_from_is_refused(datasets: DatasetStore, pets: ImageDataset) -> None:
    with pytest.raises(ClassTooSmall, match="dog"):
        relabelled(datasets, pets, {key(pets, "dog/1.png"): "cat"})
    assert datasets.list() == [pets.fingerprint]


@pytest.mark.parametrize("name", ["cat", " cat ", ""])
def test_a_correction_that_changes_nothing_is_told(
    datasets: DatasetStore, pets: ImageDataset, name: str
) -> None:
    with pytest.raises(NothingChanged):
        relabelled(datasets, pets, {key(pets, "cat/1.png"): name})


def test_of_images_that_are_lost_nothing_new_is_made(datasets: DatasetStore, pets: ImageDataset) -> None:
    pets.image_path(pets.items[0]).unlink()
    with pytest.raises(DatasetDamaged, match="import the images again to mend it"):
        relabelled(datasets, pets, {key(pets, "cat/1.png"): "dog"})
    assert datasets.list() == [pets.fingerprint]


def test_images_are_copied_where_there_are_no_links(
    datasets: DatasetStore, pets: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(store.errno.EXDEV, "no links here")

    monkeypatch.setattr(store.os, "link", no_links)
    derived = relabelled(datasets, pets, {key(pets, "cat/1.png"): "dog"})
    first = derived.items[0]
    assert derived.image_path(first).read_bytes() == pets.image_path(first).read_bytes()


def test_a_dataset_is_found_by_the_beginning_of_its_fingerprint(
    datasets: DatasetStore, pets: ImageDataset
) -> None:
    assert datasets.find(pets.fingerprint[:12]) == pets
    for prefix in ("", "xyz"):
        with pytest.raises(DatasetNotFound, match="No stored dataset"):
            datasets.find(prefix)
