"""Contributing parts stay bright, the rest is dark."""

from __future__ import annotations

import numpy as np
from PIL import Image

from loravit_web.serving.overlay import overlay

WHITE = Image.new("RGB", (50, 30), "white")


def test_contributing_parts_are_brighter_without_color_vision() -> None:
    heat = np.zeros((4, 4), dtype=np.float32)
    heat[:, :2] = 1
    grey = np.asarray(overlay(WHITE, heat, side=64).convert("L"), dtype=float)
    assert grey[:, :20].mean() > 1.5 * grey[:, 44:].mean()


def test_a_zero_map_gives_a_dark_gray_image_of_the_requested_size() -> None:
    shown = overlay(Image.new("RGB", (50, 30), "red"), np.zeros((3, 3), dtype=np.float32), side=40)
    pixels = np.asarray(shown)
    assert shown.size == (40, 40)
    assert (pixels[..., 0] == pixels[..., 1]).all()
