"""Images of more than 8 bits: the dataset knows what becomes white in all of them."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loravit_web.datasets import DatasetStore, ImageDataset, open_source, with_image
from loravit_web.datasets.revisions.next import Draft
from loravit_web.datasets.stored.manifest import MANIFEST
from loravit_web.images.whites import Whites
from tests.datasets.makers import CATS_AND_DOGS, png, zip_of


def deep(top: float, seed: int, *, kind: Any = np.uint16, lowest: float = 0) -> bytes:
    """Return a TIFF whose largest value is `top`."""
    values = np.random.default_rng(seed).uniform(lowest, top, (6, 6)).astype(kind)
    values[0, 0], values[0, 1] = top, lowest
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    return buffer.getvalue()


MIXED = {
    **{f"dark/{n}.tif": deep(900, n) for n in range(3)},
    **{f"light/{n}.tif": deep(3600, 10 + n) for n in range(4)},
}
ALIKE = (
    "Images of more than 8 bits are scaled from 0 to 4095, the largest value that the set needs: 3 images "
    "from 0 to 1023 and 4 images from 0 to 4095."
)


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=1)


@pytest.fixture
def mixed(store: DatasetStore, tmp_path: Path) -> ImageDataset:
    return store.import_source(zip_of(tmp_path / "mixed.zip", MIXED))


def extended(store: DatasetStore, dataset: ImageDataset, path: Path, files: dict[str, bytes]) -> ImageDataset:
    with open_source(zip_of(path, files)) as source:
        return store.extend(dataset, source)


def make_old(dataset: ImageDataset) -> None:
    """Change the manifest to one of an earlier version of the app."""
    path = dataset.root / MANIFEST
    document = json.loads(path.read_text())
    del document["whites"]
    path.write_text(json.dumps(document | {"schema": 1}))


def test_the_white_of_a_set_is_stored_and_told(store: DatasetStore, mixed: ImageDataset) -> None:
    assert mixed.whites == Whites(integer=4095)
    assert store.load(mixed.fingerprint) == mixed
    assert mixed.notes == (ALIKE,)
    assert json.loads((mixed.root / MANIFEST).read_text())["schema"] == 3


def test_a_set_of_eight_bits_is_stored_as_before(store: DatasetStore, tmp_path: Path) -> None:
    pets = store.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))
    assert pets.whites == store.load(pets.fingerprint).whites == Whites()
    assert json.loads((pets.root / MANIFEST).read_text())["schema"] == 1


def test_each_kind_of_values_is_told(store: DatasetStore, tmp_path: Path) -> None:
    files = {
        **{f"a/{n}.tif": deep(0.5, n, kind=np.float32) for n in range(2)},
        "a/2.tif": deep(200.0, 2, kind=np.float32),
        **{f"b/{n}.tif": deep(60_000, n) for n in range(2)},
        "b/2.tif": deep(30.0, 2, kind=np.float32, lowest=-4),
    }
    dataset = store.import_source(zip_of(tmp_path / "kinds.zip", files))
    assert dataset.whites == Whites(integer=65535, decimal=255)
    assert dataset.notes == (
        "Images of more than 8 bits with decimal values are scaled from 0 to 255, the largest value that the "
        "set needs: 2 images from 0 to 1 and 1 image from 0 to 255.",
        "Images of more than 8 bits with values below zero are scaled from their own smallest to their own "
        "largest value, so their brightness cannot be compared: 1 image.",
    )


def test_a_dataset_of_an_earlier_version_opens_and_learns_its_white_at_the_next_import(
    store: DatasetStore, mixed: ImageDataset, tmp_path: Path
) -> None:
    make_old(mixed)
    assert store.load(mixed.fingerprint).whites is None
    again = store.import_source(tmp_path / "mixed.zip")
    assert again == store.load(mixed.fingerprint)
    assert again.whites == Whites(integer=4095)


def test_a_revision_keeps_the_white_that_holds_its_images(
    store: DatasetStore, mixed: ImageDataset, tmp_path: Path
) -> None:
    more = extended(store, mixed, tmp_path / "more.zip", {"dark/9.tif": deep(800, 9)})
    assert more.whites == mixed.whites
    assert more.notes == ("Images of more than 8 bits are scaled from 0 to 4095, as in the revision before.",)
    dark = [item for item in more.items if "dark" in more.names_of(item)]
    assert store.derive(more, Draft(more.classes, dark)).whites == mixed.whites


def test_brighter_images_raise_the_white_of_the_new_revision_alone(
    store: DatasetStore, mixed: ImageDataset, tmp_path: Path
) -> None:
    more = extended(store, mixed, tmp_path / "more.zip", {"light/9.tif": deep(50_000, 9)})
    assert more.whites == Whites(integer=65535)
    assert store.load(mixed.fingerprint).whites == Whites(integer=4095)
    assert more.notes == (
        "Images of more than 8 bits are scaled from 0 to 65535 now, because added images exceed 4095. The "
        "others are darker than in the revision before.",
    )


def test_the_first_deep_images_of_a_set_give_it_a_white(store: DatasetStore, tmp_path: Path) -> None:
    pets = store.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))
    more = extended(store, pets, tmp_path / "more.zip", {"cat/9.tif": deep(3000, 9)})
    assert more.whites == Whites(integer=4095)
    assert "Images of more than 8 bits are scaled from 0 to 4095." in more.notes
    plain = extended(store, more, tmp_path / "plain.zip", {"cat/10.png": png(77)})
    assert plain.whites == Whites(integer=4095)


def test_additions_to_a_set_of_an_earlier_version_are_scaled_as_before_and_told(
    store: DatasetStore, mixed: ImageDataset, tmp_path: Path
) -> None:
    make_old(mixed)
    old = store.load(mixed.fingerprint)
    more = extended(store, old, tmp_path / "more.zip", {"light/9.tif": deep(50_000, 9)})
    assert more.whites is None
    assert more.notes == (
        "Images of more than 8 bits are scaled by the bits that each one uses, because an earlier version of "
        "the app imported the dataset. Import all images again to scale them alike.",
    )


def test_one_added_image_counts_for_the_white_too(
    store: DatasetStore, mixed: ImageDataset, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.tif"
    photo.write_bytes(deep(16_000, 3))
    assert with_image(store, mixed, photo, "light").whites == Whites(integer=16383)
