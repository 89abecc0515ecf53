"""An image is decoded and preprocessed once, as long as it is unchanged and cached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.images.loading import ImageTooLarge, UnreadableImage
from loravit_web.serving.image_cache import BUDGET, MAX_IMAGES, PreparedImages, RecentImages


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 10), "red").save(path)
    return path


def test_the_same_file_is_decoded_once(file: Path) -> None:
    images = RecentImages(1000)
    assert images.open(file) is images.open(file)


def test_a_changed_file_is_decoded_again(file: Path) -> None:
    images = RecentImages(1000)
    images.open(file)
    Image.new("RGB", (20, 10), "blue").save(file)
    os.utime(file, ns=(1, 1))
    assert images.open(file).getpixel((0, 0)) == (0, 0, 255)


def test_the_number_of_small_images_is_limited(file: Path, tmp_path: Path) -> None:
    images = RecentImages(1000, budget=BUDGET // MAX_IMAGES)
    other = tmp_path / "b.png"
    Image.new("RGB", (20, 10), "blue").save(other)
    first = images.open(file)
    assert images.open(other) is images.open(other)
    assert images.open(file) is not first


def test_an_image_above_the_budget_is_decoded_each_time(file: Path) -> None:
    images = RecentImages(1000, budget=1)
    assert images.open(file) is not images.open(file)


def test_an_invalid_image_is_rejected_each_time(file: Path, tmp_path: Path) -> None:
    images = RecentImages(100)
    for _ in range(2):
        with pytest.raises(ImageTooLarge):
            images.open(file)
        with pytest.raises(UnreadableImage, match="cannot be opened"):
            images.open(tmp_path / "gone.png")


def test_an_image_is_preprocessed_once_per_size(file: Path) -> None:
    prepared, image = PreparedImages(), Image.open(file).convert("RGB")
    small, large = Preprocessing(14), Preprocessing(28)
    assert torch.equal(prepared.tensor(image, small), small([image]))
    assert prepared.tensor(image, small) is prepared.tensor(image, Preprocessing(14))
    assert prepared.tensor(image, large).shape == (1, 3, 28, 28)


def test_a_new_image_with_the_same_id_is_preprocessed_again() -> None:
    prepared = PreparedImages()
    for colour in ("red", "blue") * 3:
        image = Image.new("RGB", (4, 4), colour)
        assert torch.equal(prepared.tensor(image, Preprocessing(2)), Preprocessing(2)([image]))
        del image


def test_a_tensor_is_dropped_with_its_image() -> None:
    prepared, stays = PreparedImages(), Image.new("RGB", (4, 4))
    prepared.tensor(stays, Preprocessing(2))
    for _ in range(3):
        prepared.tensor(Image.new("RGB", (4, 4)), Preprocessing(2))
    assert len(prepared._cache) == 2
    assert prepared.tensor(stays, Preprocessing(2)) is prepared.tensor(stays, Preprocessing(2))


def test_the_oldest_tensor_is_evicted_first() -> None:
    prepared = PreparedImages(budget=4 * 3 * 2 * 2)
    one, other = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    first = prepared.tensor(one, Preprocessing(2))
    assert prepared.tensor(other, Preprocessing(2)) is prepared.tensor(other, Preprocessing(2))
    assert prepared.tensor(one, Preprocessing(2)) is not first
