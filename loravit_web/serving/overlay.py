"""Overlay of a heat-map on its image: contributing parts stay bright and warm, the rest is dark and gray."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageOps

SIDE = 240
"""Default side of the result in pixels."""
_DIM = 0.35
_WARM = np.array([255, 150, 40], dtype=np.float32)
_TINT = 0.45

Grid = np.ndarray[Any, np.dtype[np.float32]]


def overlay(image: Image.Image, heat: Grid, *, side: int = SIDE) -> Image.Image:
    """Return a square image of a heat-map; square, because that is what the task saw.

    Brightness shows the same as color.

    Args:
        image: RGB image of any size.
        heat: Values (h, w) from 0 to 1.
        side: Side of the result in pixels.
    """
    shown = image.resize((side, side), Image.Resampling.BICUBIC)
    smooth = Image.fromarray(np.asarray(heat, dtype=np.float32)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    weight = np.asarray(smooth).clip(0, 1)[..., None]
    bright = np.asarray(shown, dtype=np.float32)
    dark = np.asarray(ImageOps.grayscale(shown).convert("RGB"), dtype=np.float32) * _DIM
    warm = bright * (1 - _TINT * weight) + _WARM * (_TINT * weight)
    return Image.fromarray((dark * (1 - weight) + warm * weight).clip(0, 255).astype(np.uint8))
