"""A heat map lies over its image, which stays visible."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from loravit_web.serving.overlay import ENCLOSED, Grid, fitted, overlay

GRAY = Image.new("RGB", (60, 40), (128, 128, 128))


def heat_at(row: int, column: int, *, side: int = 8) -> Grid:
    """Return a map of one hot patch with warm neighbors."""
    rows, columns = np.mgrid[:side, :side]
    heat: Grid = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 3).astype(np.float32)
    return heat


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (3000, 2000), (50, 50)])
def test_an_overlay_has_the_aspect_ratio_of_its_image(size: tuple[int, int]) -> None:
    shown = overlay(Image.new("RGB", size), heat_at(2, 2), side=120)
    assert max(shown.size) == 120
    assert shown.width / shown.height == pytest.approx(size[0] / size[1], rel=0.02)


def test_a_strip_of_an_image_has_an_overlay() -> None:
    assert overlay(Image.new("RGB", (4000, 1)), heat_at(2, 2), side=100).size == (100, 2)


def test_the_hot_corner_of_the_square_is_that_of_the_image() -> None:
    pixels = np.asarray(overlay(GRAY, heat_at(1, 6), side=240), dtype=float)
    warmth = pixels[..., 0] - pixels[..., 2]
    row, column = np.unravel_index(warmth.argmax(), warmth.shape)
    assert row < pixels.shape[0] / 2
    assert column > pixels.shape[1] / 2


def test_the_image_stays_visible_in_and_beside_the_colors() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[::8] = stripes[1::8] = stripes[2::8] = stripes[3::8] = 255
    image = Image.fromarray(stripes)
    pixels = np.asarray(overlay(image, heat_at(3, 3), side=64).convert("L"), dtype=float)
    bright, dark = stripes[..., 0] > 0, stripes[..., 0] == 0
    hot = np.zeros((64, 64), dtype=bool)
    hot[26:30, 26:30] = True
    far = np.zeros((64, 64), dtype=bool)
    far[54:, 54:] = True
    for part, least in ((hot, 60), (far, 180)):
        assert pixels[part & bright].mean() - pixels[part & dark].mean() > least


def test_a_line_that_needs_no_color_vision_encloses_the_fifth_with_the_highest_values() -> None:
    pixels = np.asarray(overlay(GRAY.resize((200, 200)), heat_at(4, 4), side=200).convert("L"), dtype=float)
    row = pixels[112]
    line = np.flatnonzero(row > 180)
    assert line.size
    width = line.max() - line.min()
    assert np.pi * (width / 2) ** 2 == pytest.approx(ENCLOSED * 200**2, rel=0.25)
    assert row[line.min() - 3 : line.min()].min() < 90  # its dark edge, for bright images


def test_a_zero_map_leaves_the_image_without_line_and_colors() -> None:
    pixels = np.asarray(overlay(GRAY, np.zeros((3, 3), dtype=np.float32), side=60))
    assert (pixels == pixels[0, 0]).all()


def test_a_small_image_is_enlarged_without_a_map_too() -> None:
    assert fitted(Image.new("RGB", (32, 16)), 800).size == (800, 400)
