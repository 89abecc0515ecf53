"""A heat-map on its picture: what counted stays bright and turns warm, all else goes dark and grey."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageOps

SIDE = 240
_DIM = 0.35
_WARM = np.array([255, 150, 40], dtype=np.float32)
_TINT = 0.45

Grid = np.ndarray[Any, np.dtype[np.float32]]


def overlay(picture: Image.Image, heat: Grid, *, side: int = SIDE) -> Image.Image:
    """A square picture, since a square is what the task saw.

    Brightness carries the answer as well as colour does.

    Args:
        picture: RGB, any size.
        heat: (h, w) from 0 to 1.
    """
    shown = picture.resize((side, side), Image.Resampling.BICUBIC)
    smooth = Image.fromarray(np.asarray(heat, dtype=np.float32)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    weight = np.asarray(smooth).clip(0, 1)[..., None]
    bright = np.asarray(shown, dtype=np.float32)
    dark = np.asarray(ImageOps.grayscale(shown).convert("RGB"), dtype=np.float32) * _DIM
    warm = bright * (1 - _TINT * weight) + _WARM * (_TINT * weight)
    return Image.fromarray((dark * (1 - weight) + warm * weight).clip(0, 255).astype(np.uint8))
