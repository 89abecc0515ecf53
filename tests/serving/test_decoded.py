"""A picture is read and prepared once, as long as it is the same and somebody keeps it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.images.loading import ImageTooLarge, UnreadableImage
from loravit_web.serving.decoded import BUDGET, MOST, PreparedPictures, RecentPictures


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 10), "red").save(path)
    return path


def test_the_same_file_is_decoded_once(file: Path) -> None:
    pictures = RecentPictures(1000)
    assert pictures.open(file) is pictures.open(file)


def test_a_file_that_was_written_anew_is_decoded_anew(file: Path) -> None:
    pictures = RecentPictures(1000)
    pictures.open(file)
    Image.new("RGB", (20, 10), "blue").save(file)
    os.utime(file, ns=(1, 1))
    assert pictures.open(file).getpixel((0, 0)) == (0, 0, 255)


def test_no_more_small_pictures_are_kept_than_so_many(file: Path, tmp_path: Path) -> None:
    pictures = RecentPictures(1000, budget=BUDGET // MOST)
    other = tmp_path / "b.png"
    Image.new("RGB", (20, 10), "blue").save(other)
    first = pictures.open(file)
    assert pictures.open(other) is pictures.open(other)
    assert pictures.open(file) is not first


def test_a_picture_that_there_is_no_room_for_is_decoded_each_time(file: Path) -> None:
    pictures = RecentPictures(1000, budget=1)
    assert pictures.open(file) is not pictures.open(file)


def test_what_is_no_picture_is_refused_each_time(file: Path, tmp_path: Path) -> None:
    pictures = RecentPictures(100)
    for _ in range(2):
        with pytest.raises(ImageTooLarge):
            pictures.open(file)
        with pytest.raises(UnreadableImage, match="cannot be opened"):
            pictures.open(tmp_path / "gone.png")


def test_a_picture_is_prepared_once_for_each_size(file: Path) -> None:
    prepared, picture = PreparedPictures(), Image.open(file).convert("RGB")
    small, large = Preprocessing(14), Preprocessing(28)
    assert torch.equal(prepared.of(picture, small), small([picture]))
    assert prepared.of(picture, small) is prepared.of(picture, Preprocessing(14))
    assert prepared.of(picture, large).shape == (1, 3, 28, 28)


def test_another_picture_at_the_same_place_in_memory_is_prepared_anew() -> None:
    prepared = PreparedPictures()
    for colour in ("red", "blue") * 3:
        picture = Image.new("RGB", (4, 4), colour)
        assert torch.equal(prepared.of(picture, Preprocessing(2)), Preprocessing(2)([picture]))
        del picture


def test_what_was_prepared_of_a_picture_goes_when_the_picture_is_gone() -> None:
    prepared, stays = PreparedPictures(), Image.new("RGB", (4, 4))
    prepared.of(stays, Preprocessing(2))
    for _ in range(3):
        prepared.of(Image.new("RGB", (4, 4)), Preprocessing(2))
    assert len(prepared._kept) == 2
    assert prepared.of(stays, Preprocessing(2)) is prepared.of(stays, Preprocessing(2))


def test_what_was_prepared_first_gives_way() -> None:
    prepared = PreparedPictures(budget=4 * 3 * 2 * 2)
    one, other = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    first = prepared.of(one, Preprocessing(2))
    assert prepared.of(other, Preprocessing(2)) is prepared.of(other, Preprocessing(2))
    assert prepared.of(one, Preprocessing(2)) is not first
