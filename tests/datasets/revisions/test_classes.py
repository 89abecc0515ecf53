"""A class is renamed, or several are merged, without any image moving."""

from __future__ import annotations

from pathlib import Path

import pytest

from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.datasets.errors import ClassNameTooLong, TooFewClasses
from loravit_web.datasets.revisions.classes import NameTaken, NoSuchClass, SameNames, merging, renaming
from tests.datasets.makers import CATS_AND_DOGS, images, zip_of

THREE = images([f"{name}/{number}.png" for name in ("cat", "dog", "kitten") for number in range(3)])


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=1)


@pytest.fixture
def pets(store: DatasetStore, tmp_path: Path) -> ImageDataset:
    return store.import_source(zip_of(tmp_path / "pets.zip", THREE))


def by_path(dataset: ImageDataset) -> dict[str, str]:
    return {item.path: dataset.classes[item.label] for item in dataset.items}


def test_a_renamed_class_keeps_its_images(store: DatasetStore, pets: ImageDataset) -> None:
    revision = store.derive(pets, renaming(pets, "cat", " Zoo  cat "))
    assert revision.classes == ("dog", "kitten", "Zoo cat")
    renamed = {path: "Zoo cat" if name == "cat" else name for path, name in by_path(pets).items()}
    assert by_path(revision) == renamed
    assert revision.revision is not None
    assert revision.revision.changes == "“cat” renamed to “Zoo cat”"
    assert store.load(pets.fingerprint) == pets


@pytest.mark.parametrize("into", ["cat", "feline"])
def test_merged_classes_are_one(store: DatasetStore, pets: ImageDataset, into: str) -> None:
    revision = store.derive(pets, merging(pets, ["cat", "kitten"], into))
    assert revision.classes == tuple(sorted(["dog", into]))
    assert sum(name == into for name in by_path(revision).values()) == 6
    assert revision.revision is not None
    assert (revision.revision.moved, revision.revision.renamed) == (0, ())
    assert {new for _old, new in revision.revision.merged} == {into}


def test_one_class_is_merged_into_another_by_its_name(store: DatasetStore, pets: ImageDataset) -> None:
    revision = store.derive(pets, merging(pets, ["kitten"], "cat"))
    assert revision.revision is not None
    assert revision.revision.changes == "“kitten” merged into “cat”"


def test_an_image_in_both_merged_classes_is_there_once(store: DatasetStore, tmp_path: Path) -> None:
    files = {**THREE, "kitten/same.png": THREE["cat/0.png"]}
    pets = store.import_source(zip_of(tmp_path / "twice.zip", files))
    revision = store.derive(pets, merging(pets, ["cat", "kitten"], "cat"))
    assert (len(pets.items), len(revision.items)) == (10, 9)
    assert revision.warnings == ()


def test_names_that_cannot_be_given_are_refused(pets: ImageDataset) -> None:
    with pytest.raises(NoSuchClass, match="has no class “bird”. Choose one of “cat”, “dog” and “kitten”"):
        renaming(pets, "bird", "owl")
    with pytest.raises(NameTaken, match="There is a class “dog” already"):
        renaming(pets, "cat", "Dog")
    for name in ("", "  ", "cat"):
        with pytest.raises(SameNames, match="needs another name"):
            renaming(pets, "cat", name)
    with pytest.raises(ClassNameTooLong):
        renaming(pets, "cat", "x" * 81)
    with pytest.raises(SameNames, match="Only “cat” was chosen"):
        merging(pets, ["cat"], "cat")
    with pytest.raises(TooFewClasses):
        merging(pets, ["cat", "dog", "kitten"], "pet")


def test_a_class_may_be_renamed_to_another_case(store: DatasetStore, tmp_path: Path) -> None:
    pets = store.import_source(zip_of(tmp_path / "two.zip", CATS_AND_DOGS))
    assert store.derive(pets, renaming(pets, "cat", "Cat")).classes == ("Cat", "dog")


def test_classes_of_data_with_several_labels_are_renamed_and_merged(
    store: DatasetStore, tmp_path: Path
) -> None:
    rows = ["path,labels", "1.png,cat;pet", "2.png,cat;pet", "3.png,dog;pet", "4.png,dog"]
    files = {**images(f"{n}.png" for n in range(1, 5)), "labels.csv": "\n".join(rows).encode()}
    dataset = store.import_source(zip_of(tmp_path / "many.zip", files))
    assert dataset.labels == "many"
    revision = store.derive(dataset, merging(dataset, ["cat", "pet"], "pet"))
    assert revision.classes == ("dog", "pet")
    first = next(item for item in revision.items if item.path == "1.png")
    assert revision.names_of(first) == ("pet",)
