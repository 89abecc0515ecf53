"""An image that is added to a dataset makes its next revision."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from loravit_web.datasets import DatasetStore, ImageDataset, with_image
from loravit_web.datasets.relabel import AlreadyThere, UnknownClass
from loravit_web.images.loading import ImageError
from tests.datasets.makers import CATS_AND_DOGS, zip_of


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=1)


@pytest.fixture
def pets(store: DatasetStore, tmp_path: Path) -> ImageDataset:
    return store.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (20, 10), (9, 99, 199)).save(path)
    return path


def test_an_added_image_is_a_training_image_of_its_class(
    store: DatasetStore, pets: ImageDataset, photo: Path
) -> None:
    more = with_image(store, pets, photo, "dog")
    assert more.fingerprint != pets.fingerprint
    (added,) = [item for item in more.items if item not in pets.items]
    assert (added.path, added.split, more.names_of(added)) == ("photo.png", "train", ("dog",))
    assert more.image_path(added).read_bytes() == photo.read_bytes()
    assert more.title == "pets, revision 2"
    assert more.revision is not None
    assert more.revision.changes == "1 image added"
    assert store.load(more.fingerprint).items == more.items
    assert store.load(pets.fingerprint) == pets

    photo.write_bytes(b"overwritten")
    assert more.image_path(added).read_bytes() != b"overwritten"


def test_each_addition_is_a_revision_of_its_own(store: DatasetStore, pets: ImageDataset, photo: Path) -> None:
    more = with_image(store, pets, photo, "dog")
    Image.new("RGB", (20, 10), (199, 99, 9)).save(photo)
    again = with_image(store, more, photo, "cat").revision
    assert again is not None
    assert (again.number, again.first, again.before) == (3, pets.fingerprint, more.fingerprint)


def test_an_image_is_added_once_and_to_a_class_that_there_is(
    store: DatasetStore, pets: ImageDataset, photo: Path, tmp_path: Path
) -> None:
    more = with_image(store, pets, photo, "dog")
    with pytest.raises(AlreadyThere, match="in the training data already, as “dog”"):
        with_image(store, more, photo, "cat")
    with pytest.raises(UnknownClass, match="no class “bird”"):
        with_image(store, pets, photo, "bird")
    photo.write_bytes(b"no image")
    with pytest.raises(ImageError):
        with_image(store, pets, photo, "dog")
    assert store.list() == sorted([pets.fingerprint, more.fingerprint])
