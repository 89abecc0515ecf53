"""Overlay of a heat map on its image: the photograph stays visible under the colors and a contour line."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

SIDE = 320
"""Default length of the longer side of the result in pixels."""
LARGE_SIDE = 800
"""Length of the longer side of a large result in pixels."""
ENCLOSED = 0.2
"""Fraction of the area that the contour line encloses: the places with the highest values."""
_SATURATION, _BRIGHTNESS = 0.65, 0.86
"""Photograph under the colors, so that they stand out."""
_FULL = 0.97
"""Quantile of the values that gets the strongest color."""
_POWER = 0.7
"""Power of the values; below 1, so that weak evidence is visible too."""
_MOST_OPAQUE = 0.55
_COLORS = np.array([[255, 205, 60], [255, 130, 30], [225, 20, 110]], dtype=np.float32)
"""Colors from low to high values."""
_DARK, _LIGHT = np.array([0, 0, 0], dtype=np.float32), np.array([255, 255, 255], dtype=np.float32)
_LINE = 1 / 320
"""Half the width of the light line, as a fraction of the longer side; the dark edge is as wide again."""

Grid = np.ndarray[Any, np.dtype[Any]]


def fitted(image: Image.Image, side: int = SIDE) -> Image.Image:
    """Return an image of the same aspect ratio whose longer side has ``side`` pixels."""
    scale = side / max(image.size)
    width, height = (max(2, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)


def overlay(image: Image.Image, heat: Grid, *, side: int = SIDE) -> Image.Image:
    """Return an image with the colors of a heat map.

    A task sees the image squeezed into a square. The map is stretched back over it. The contour line says the
    same as the colors, for readers who cannot tell them apart.

    Args:
        image: RGB image of any size.
        heat: Values (h, w) of the square, from 0 to 1.
        side: Length of the longer side of the result in pixels.
    """
    shown = fitted(image, side)
    pixels = ImageEnhance.Brightness(ImageEnhance.Color(shown).enhance(_SATURATION)).enhance(_BRIGHTNESS)
    if not heat.any():
        return pixels
    values = _smooth(heat, shown.size)
    strength = np.clip(values / max(float(np.quantile(values, _FULL)), 1e-6), 0, 1) ** _POWER
    result = _mixed(np.asarray(pixels, dtype=np.float32), _colors(strength), _MOST_OPAQUE * strength)
    level = float(np.quantile(values, 1 - ENCLOSED))
    distance = _distance(values, max(level, 0.05 * float(values.max())))
    width = max(1.4, _LINE * side)
    result = _mixed(result, _DARK, 0.6 * np.clip(2 * width - distance, 0, 1))
    result = _mixed(result, _LIGHT, np.clip(width - distance, 0, 1))
    return Image.fromarray(result.astype(np.uint8))


def _smooth(heat: Grid, size: tuple[int, int]) -> Grid:
    """Return the values (height, width) of an image, interpolated between the centers of the patches."""
    grid = Image.fromarray(np.asarray(heat, dtype=np.float32))
    return np.asarray(grid.resize(size, Image.Resampling.BICUBIC), dtype=np.float32).clip(0, None)


def _colors(strength: Grid) -> Grid:
    """Return the colors (height, width, 3) of strengths from 0 to 1."""
    places = np.linspace(0, 1, len(_COLORS))
    channels = [np.interp(strength, places, _COLORS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _distance(values: Grid, level: float) -> Grid:
    """Return about how many pixels each pixel is away from where the values cross a level."""
    down, right = np.gradient(values)
    return np.asarray(np.abs(values - level) / np.maximum(np.hypot(down, right), 1e-6), dtype=np.float32)


def _mixed(below: Grid, color: Grid, opacity: Grid) -> Grid:
    """Return pixels (height, width, 3) covered by a color with an opacity (height, width) from 0 to 1."""
    mixed: Grid = below + (color - below) * opacity[..., None]
    return mixed
