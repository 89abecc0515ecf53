"""A correction is the next revision of a dataset and does not change the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from loravit_web.datasets import DatasetNotFound, DatasetStore, ImageDataset, relabeled
from loravit_web.datasets.errors import ClassTooSmall, DatasetDamaged
from loravit_web.datasets.relabel import NothingChanged
from loravit_web.datasets.revisions.record import Revision
from loravit_web.datasets.stored import disk

from .makers import CATS_AND_DOGS, images, zip_of


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


def test_an_image_gets_another_class_in_the_next_revision(datasets: DatasetStore, pets: ImageDataset) -> None:
    derived = relabeled(datasets, pets, {key(pets, "cat/1.png"): "dog"})
    assert by_path(derived) == {**by_path(pets), "cat/1.png": "dog"}
    assert (derived.name, derived.title) == ("pets", "pets, revision 2")
    assert derived.revision == Revision(2, pets.fingerprint, pets.fingerprint, moved=1)
    assert derived.fingerprint != pets.fingerprint
    assert datasets.load(derived.fingerprint) == derived
    assert datasets.load(pets.fingerprint) == pets
    assert all(derived.image_path(item).read_bytes() for item in derived.items)


def test_an_image_can_be_removed_or_get_a_new_class(datasets: DatasetStore, pets: ImageDataset) -> None:
    derived = relabeled(datasets, pets, {key(pets, "cat/1.png"): None})
    assert set(by_path(derived)) == set(by_path(pets)) - {"cat/1.png"}
    changes = {key(pets, f"dog/{n}.png"): " Wolf  cub " for n in (1, 2)}
    assert relabeled(datasets, pets, changes).classes == ("cat", "Wolf cub")


def test_a_correction_that_is_undone_leads_back_to_the_revision_before(
    datasets: DatasetStore, pets: ImageDataset
) -> None:
    first = relabeled(datasets, pets, {key(pets, "cat/1.png"): "dog"})
    second = relabeled(datasets, first, {key(first, "cat/1.png"): "cat"})
    assert (second, datasets.load(pets.fingerprint)) == (pets, pets)
    third = relabeled(datasets, first, {key(first, "dog/1.png"): None})
    assert third.revision == Revision(3, pets.fingerprint, first.fingerprint, left_out=1)


def test_an_image_is_changed_in_every_split(datasets: DatasetStore, tmp_path: Path) -> None:
    files = images(f"train/{name}/{n}.png" for name in "ab" for n in range(3))
    twice = {**files, "test/a/0.png": files["train/a/0.png"]}
    dataset = datasets.import_source(zip_of(tmp_path / "twice.zip", twice))
    derived = relabeled(datasets, dataset, {key(dataset, "test/a/0.png"): "b"})
    assert by_path(derived)["test/a/0.png"] == by_path(derived)["train/a/0.png"] == "b"


def test_a_correction_that_leaves_too_few_images_is_rejected(
    datasets: DatasetStore, pets: ImageDataset
) -> None:
    with pytest.raises(ClassTooSmall, match="dog"):
        relabeled(datasets, pets, {key(pets, "dog/1.png"): "cat"})
    assert datasets.list() == [pets.fingerprint]


@pytest.mark.parametrize("name", ["cat", " cat ", ""])
def test_a_correction_without_changes_is_an_error(
    datasets: DatasetStore, pets: ImageDataset, name: str
) -> None:
    with pytest.raises(NothingChanged):
        relabeled(datasets, pets, {key(pets, "cat/1.png"): name})


def test_a_dataset_with_missing_images_cannot_be_corrected(
    datasets: DatasetStore, pets: ImageDataset
) -> None:
    pets.image_path(pets.items[0]).unlink()
    with pytest.raises(DatasetDamaged, match="is damaged. Import the images again"):
        relabeled(datasets, pets, {key(pets, "cat/1.png"): "dog"})
    assert datasets.list() == [pets.fingerprint]


def test_images_are_copied_if_links_are_not_supported(
    datasets: DatasetStore, pets: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(disk.errno.EXDEV, "no links here")

    monkeypatch.setattr(disk.os, "link", no_links)
    derived = relabeled(datasets, pets, {key(pets, "cat/1.png"): "dog"})
    first = derived.items[0]
    assert derived.image_path(first).read_bytes() == pets.image_path(first).read_bytes()


def test_a_dataset_is_found_by_a_prefix_of_its_fingerprint(
    datasets: DatasetStore, pets: ImageDataset
) -> None:
    assert datasets.find(pets.fingerprint[:12]) == pets
    for prefix in ("", "xyz"):
        with pytest.raises(DatasetNotFound, match="No stored dataset"):
            datasets.find(prefix)
