"""A picture is read and prepared once, as long as it is the same and somebody keeps it."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.images import ImageTooLarge, UnreadableImage
from loravit_web.pictures import PreparedPictures, RecentPictures


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


def test_no_more_pictures_are_kept_than_there_is_room_for(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.png"
    Image.new("RGB", (20, 10), "blue").save(other)
    pictures = RecentPictures(1000, budget=3 * 20 * 10)
    first = pictures.open(file)
    assert pictures.open(other) is pictures.open(other)
    assert pictures.open(file) is not first


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


def test_what_was_prepared_of_a_picture_goes_with_it() -> None:
    prepared = PreparedPictures()
    for colour in ("red", "blue"):
        picture = Image.new("RGB", (4, 4), colour)
        expected = Preprocessing(2)([picture])
        assert torch.equal(prepared.of(picture, Preprocessing(2)), expected)
        del picture
        gc.collect()
        assert not prepared._kept
