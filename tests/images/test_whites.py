"""Images of more than 8 bits are as bright as in the set that they belong to."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loravit_web.images.loading import load_rgb, to_rgb
from loravit_web.images.whites import Levels, Whites, levels_of, scaled, scaled_image, whites_of

BITS = {10: 1023, 12: 4095, 14: 16383, 16: 65535}


def deep(top: int, *, format: str = "PNG", kind: Any = np.uint16, **options: Any) -> bytes:
    """Return an image whose values go from 0 to `top`."""
    buffer = BytesIO()
    values = np.linspace(0, top, 48, dtype=kind).reshape(6, 8)
    Image.fromarray(values).save(buffer, format, **options)
    return buffer.getvalue()


def gray(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image)[..., 0].astype(int)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("used", BITS)
@pytest.mark.parametrize("bits", BITS)
def test_dark_and_bright_images_of_a_set_have_one_scale(bits: int, used: int, format: str) -> None:
    top, white = round(BITS[used] * 0.7), BITS[max(bits, used)]
    image = scaled_image(load_rgb(deep(top, format=format)), Whites(integer=float(BITS[bits])))
    expected = np.linspace(0, top, 48, dtype=np.uint16).reshape(6, 8) * (255 / white)
    assert np.abs(gray(image) - expected).max() <= 1  # rounded twice


def test_an_image_with_more_bits_than_the_set_keeps_its_own_scale() -> None:
    image = load_rgb(deep(60_000))
    assert scaled_image(image, Whites(integer=4095.0)) is image


def test_whole_and_decimal_numbers_have_scales_of_their_own() -> None:
    whites = Whites(integer=65535.0, decimal=4095.0)
    decimal = load_rgb(deep(900, format="TIFF", kind=np.float32))
    assert levels_of(decimal) == Levels("decimal", 0, 1023)
    assert gray(scaled_image(decimal, whites)).max() == pytest.approx(900 * 255 / 4095, abs=1)
    assert gray(scaled_image(load_rgb(deep(900)), whites)).max() == pytest.approx(900 * 255 / 65535, abs=1)


def test_images_of_eight_bits_and_those_below_zero_are_left_as_they_are() -> None:
    pixels = np.arange(48, dtype=np.uint8)
    whites = Whites(integer=65535.0, decimal=65535.0)
    for levels in (None, Levels("decimal", -5.0, 100.0)):
        assert scaled(pixels, levels, whites) is pixels
    assert scaled(pixels, Levels("integer", 0.0, 1023.0), None) is pixels


def test_the_white_of_a_set_is_the_largest_of_its_images() -> None:
    images = [Levels("integer", 0, 1023), Levels("integer", 0, 4095), Levels("decimal", -9, 70_000)]
    assert whites_of(images) == Whites(integer=4095)
    assert whites_of([]).is_empty
    joined = Whites(integer=1023).joined(Whites(integer=4095, decimal=1.0))
    assert joined == Whites(integer=4095, decimal=1.0)
    assert Whites.from_json(joined.as_json()) == joined
    assert Whites.from_json(None) is None


@pytest.mark.parametrize("value", [0, -1.0, "4095", True, float("inf"), float("nan")])
def test_a_white_that_is_no_number_above_zero_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Whites.from_json({"integer": value, "decimal": None})


def test_a_turned_image_and_one_of_pillow_have_their_levels() -> None:
    turned = load_rgb(deep(900, format="TIFF", tiffinfo={0x0112: 6}))
    assert turned.size == (6, 8)
    assert (
        levels_of(turned) == levels_of(to_rgb(Image.open(BytesIO(deep(900))))) == Levels("integer", 0, 1023)
    )
    assert levels_of(to_rgb(turned)) is None
