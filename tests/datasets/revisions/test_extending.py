"""Images and classes are added to a dataset that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from loravit_web.datasets import DatasetStore, ImageDataset, open_source
from loravit_web.datasets.errors import CardIncomplete, ClassTooSmall, TooManyImages
from loravit_web.datasets.pool.source import labeled_as, open_images
from loravit_web.datasets.revisions.extending import NothingAdded, OtherLabels
from loravit_web.settings.limits import Limits
from tests.datasets.makers import CATS_AND_DOGS, folder_of, png, zip_of


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=1)


@pytest.fixture
def pets(store: DatasetStore, tmp_path: Path) -> ImageDataset:
    return store.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))


def extended(store: DatasetStore, dataset: ImageDataset, path: Path, files: dict[str, bytes]) -> ImageDataset:
    with open_source(zip_of(path, files)) as source:
        return store.extend(dataset, source)


def test_images_and_a_new_class_are_added(store: DatasetStore, pets: ImageDataset, tmp_path: Path) -> None:
    files = {"bird/1.png": png(20), "bird/2.png": png(21), "dog/9.png": png(22)}
    more = extended(store, pets, tmp_path / "more.zip", files)
    assert more.classes == ("bird", "cat", "dog")
    assert {name: counts["train"] for name, counts in more.counts().items()} == {
        "bird": 2,
        "cat": 3,
        "dog": 3,
    }
    assert more.revision is not None
    assert (more.title, more.revision.changes) == ("pets, revision 2", "3 images added")
    assert all(more.image_path(item).read_bytes() for item in more.items)
    assert store.load(more.fingerprint) == more
    assert store.find("pets") == more
    assert store.find("pets@1") == store.load(pets.fingerprint) == pets


def test_images_that_are_there_already_are_listed_with_their_class(
    store: DatasetStore, pets: ImageDataset, tmp_path: Path
) -> None:
    files = {"dog/1.png": CATS_AND_DOGS["cat/1.png"], "dog/9.png": png(22), "cat/9.png": png(23)}
    more = extended(store, pets, tmp_path / "more.zip", files)
    assert [(entry.path, entry.reason) for entry in more.skipped] == [
        ("dog/1.png", "it is in the dataset already, as “cat”")
    ]
    with pytest.raises(NothingAdded, match=r"None of 5 files can be added .*as “cat”.* does not have"):
        extended(store, pets, tmp_path / "same.zip", CATS_AND_DOGS)


def test_a_name_in_another_case_means_the_class_that_is_there(
    store: DatasetStore, pets: ImageDataset, tmp_path: Path
) -> None:
    more = extended(store, pets, tmp_path / "more.zip", {"Dog/8.png": png(22), "CAT/9.png": png(23)})
    assert more.classes == ("cat", "dog")
    assert more.notes[:2] == (
        "Images of “CAT” were taken for the class “cat”.",
        "Images of “Dog” were taken for the class “dog”.",
    )


def test_images_without_folders_are_added_to_a_chosen_class(
    store: DatasetStore, pets: ImageDataset, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "photos", {"a.png": png(30), "inside/b.png": png(31), "notes.txt": b"x"})
    with open_images([folder, zip_of(tmp_path / "c.zip", {"c.png": png(32)})]) as source:
        more = store.extend(pets, labeled_as(source, " wolf "))
    assert more.counts()["wolf"]["train"] == 3
    assert {entry.path for entry in more.skipped} == {"notes.txt"}
    with open_images([folder]) as source, pytest.raises(CardIncomplete, match="The images have no class"):
        labeled_as(source, " ")


def test_additions_that_do_not_fit_are_refused(
    store: DatasetStore, pets: ImageDataset, tmp_path: Path
) -> None:
    with pytest.raises(ClassTooSmall, match="bird"):
        extended(store, pets, tmp_path / "one.zip", {"bird/1.png": png(40), "dog/9.png": png(41)})
    small = DatasetStore(store.root, workers=1, limits=Limits(images=6))
    with pytest.raises(TooManyImages, match="would have 7 images, and the limit is 6"):
        extended(small, pets, tmp_path / "two.zip", {"cat/1.png": png(40), "dog/9.png": png(41)})
    rows = "path,labels\n1.png,cat;dog\n9.png,dog"
    files = {"1.png": png(42), "9.png": png(43), "labels.csv": rows.encode()}
    with pytest.raises(OtherLabels, match="have one label each, and the new ones several labels"):
        extended(store, pets, tmp_path / "many.zip", files)
    with pytest.raises(NothingAdded, match="No image with a class was found"):
        extended(store, pets, tmp_path / "flat.zip", {"1.png": png(44)})
    assert store.list() == [pets.fingerprint]


def test_revisions_of_two_branches_have_different_numbers(
    store: DatasetStore, pets: ImageDataset, tmp_path: Path
) -> None:
    first = extended(store, pets, tmp_path / "a.zip", {"cat/a.png": png(50), "dog/a.png": png(51)})
    other = extended(store, pets, tmp_path / "b.zip", {"cat/b.png": png(52), "dog/b.png": png(53)})
    assert (first.title, other.title) == ("pets, revision 2", "pets, revision 3")
    assert store.find("pets") == other
    assert store.find("pets, revision 2") == first


def test_the_export_of_a_revision_is_the_same_revision_again(
    store: DatasetStore, pets: ImageDataset, tmp_path: Path
) -> None:
    more = extended(store, pets, tmp_path / "more.zip", {"cat/a.png": png(50), "dog/a.png": png(51)})
    files = {
        f"{more.classes[item.label]}/{item.path}": more.image_path(item).read_bytes() for item in more.items
    }
    again = store.import_source(zip_of(tmp_path / "out.zip", files))
    assert (again.fingerprint, again.revision) == (more.fingerprint, more.revision)
