"""HEIC, which the optional package pillow-heif decodes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from loravit_web.images.errors import ImageError
from loravit_web.images.formats import SUPPORTED
from loravit_web.images.loading import load_rgb

pillow_heif = pytest.importorskip("pillow_heif", reason="the optional package pillow-heif is not installed")


def smooth(width: int = 160, height: int = 120) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 255 // width, y * 255 // height, np.full_like(x, 90)]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def heic(image: Image.Image, **options: object) -> bytes:
    buffer = BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=90, **options)
    return buffer.getvalue()


def test_a_heic_is_read_as_it_was_written() -> None:
    image = smooth()
    read = load_rgb(heic(image))
    assert (read.size, read.mode) == (image.size, "RGB")
    assert np.abs(np.asarray(read, int) - np.asarray(image, int)).mean() < 2
    assert "HEIC" in SUPPORTED


@pytest.mark.parametrize("size", [(161, 119), (63, 65), (1, 1), (119, 161)])
def test_a_heic_that_is_cropped_from_whole_blocks_is_read(size: tuple[int, int]) -> None:
    assert load_rgb(heic(smooth(*size))).size == size


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_a_heic_of_another_mode_is_read(mode: str) -> None:
    assert load_rgb(heic(smooth().convert(mode))).mode == "RGB"


def test_the_rotation_of_a_heic_is_applied() -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    assert load_rgb(heic(smooth(), exif=exif.tobytes())).size == (120, 160)


def test_a_cut_heic_is_refused() -> None:
    with pytest.raises(ImageError, match="HEIC data"):
        load_rgb(heic(smooth())[:900])
