"""Thumbnail of the training images."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from loravit_web.adapters.files.thumbnail import MAX_IMAGES, contact_sheet

COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (0, 200, 200)]


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (80, 50)) -> Image.Image:
    image = Image.new("RGB", size, colour)
    image.info["exif"] = b"Exif\x00\x00II*\x00"
    return image


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("count", "size"), [(1, (256, 256)), (2, (256, 128)), (4, (256, 256)), (5, (255, 170)), (12, (255, 255))]
)
def test_images_are_arranged_in_a_square_grid(count: int, size: tuple[int, int]) -> None:
    sheet = opened(contact_sheet([plain(COLOURS[i % 5]) for i in range(count)]))
    assert (sheet.format, sheet.size) == ("WEBP", size)


def test_each_image_is_in_its_cell_and_the_rest_is_white() -> None:
    sheet = opened(contact_sheet([plain(colour) for colour in COLOURS])).convert("RGB")
    centres = [(x, y) for y in (42, 127) for x in (42, 127, 212)]
    for centre, colour in zip(centres, [*COLOURS, (255, 255, 255)], strict=True):
        found = sheet.getpixel(centre)
        assert isinstance(found, tuple)
        assert max(abs(a - b) for a, b in zip(found, colour, strict=True)) < 30


def test_a_thumbnail_is_small_and_without_metadata() -> None:
    data = contact_sheet([plain(COLOURS[0]) for _ in range(MAX_IMAGES)])
    assert len(data) < 20_000
    assert not {"exif", "icc_profile", "xmp"} & set(opened(data).info)
    assert b"EXIF" not in data
    assert contact_sheet([plain(COLOURS[0]) for _ in range(MAX_IMAGES)]) == data
