"""Drawn scenes: equal shapes on a textured background, so several tasks can classify the same image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIDE = 112
"""Side of a scene in pixels."""
COUNTS = ("1", "2", "3", "4", "5")
TEXTURES = ("plain", "stripes", "dots", "checks", "noise")
_RADII = (8, 14)
_GAP = 3
_CONTRAST = 140.0
_TRIES = 200

Color = tuple[int, int, int]
Place = tuple[int, int, int]
"""Center and radius in pixels."""
Points = Sequence[tuple[float, float]]
Grid = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One image with its attributes; each attribute is a class of one task.

    Attributes:
        image: RGB image of `SIDE` by `SIDE` pixels.
        shape: Name of the shape.
        count: Number of shapes, one of `COUNTS`.
        texture: Texture of the background, one of `TEXTURES`.
    """

    image: Image.Image
    shape: str
    count: str
    texture: str


def draw_scenes(number: int, seed: int) -> Iterator[Scene]:
    """Yield scenes with independently drawn attributes; equal seeds give equal images.

    Args:
        number: Number of scenes.
        seed: Seed of the random generator.
    """
    random = np.random.default_rng(seed)
    for _ in range(number):
        yield draw_scene(
            str(random.choice(list(SHAPES))), str(random.choice(COUNTS)), str(random.choice(TEXTURES)), random
        )


def draw_scene(shape: str, count: str, texture: str, random: np.random.Generator) -> Scene:
    """Return a scene with the given attributes and random colors, positions and sizes.

    Args:
        shape: Name of the shape.
        count: Number of shapes, one of `COUNTS`.
        texture: Texture of the background, one of `TEXTURES`.
        random: Source of randomness.
    """
    return Scene(draw_shapes([shape] * int(count), texture, random), shape, count, texture)


def draw_shapes(shapes: Sequence[str], texture: str, random: np.random.Generator) -> Image.Image:
    """Return an image of these shapes with random colors, positions and sizes.

    Args:
        shapes: Name of each shape, at most five.
        texture: Texture of the background, one of `TEXTURES`.
        random: Source of randomness.
    """
    background = _color(random)
    image = _BACKGROUNDS[texture](background, random)
    draw = ImageDraw.Draw(image)
    for shape, (x, y, radius) in zip(shapes, _places(len(shapes), random), strict=True):
        angle = float(random.uniform(0, 2 * math.pi))
        points = [
            (
                x + radius * (u * math.cos(angle) - v * math.sin(angle)),
                y + radius * (u * math.sin(angle) + v * math.cos(angle)),
            )
            for u, v in SHAPES[shape]
        ]
        draw.polygon(points, fill=_contrasting(background, random), outline="black")
    return image


def _regular(corners: int) -> Points:
    angles = [2 * math.pi * corner / corners for corner in range(corners)]
    return [(math.sin(angle), -math.cos(angle)) for angle in angles]


def _star() -> Points:
    outer = _regular(10)
    return [
        (x * (1 if i % 2 == 0 else 0.42), y * (1 if i % 2 == 0 else 0.42)) for i, (x, y) in enumerate(outer)
    ]


def _cross() -> Points:
    arm, tip = 0.33, 0.94
    quarter = [(-arm, -tip), (arm, -tip), (arm, -arm)]
    points = []
    for _ in range(4):
        points += quarter
        quarter = [(-y, x) for x, y in quarter]
    return points


SHAPES: Mapping[str, Points] = MappingProxyType(
    {
        "circle": _regular(32),
        "square": _regular(4),
        "triangle": _regular(3),
        "star": _star(),
        "cross": _cross(),
    }
)
"""Corners of each shape inside the unit circle."""


def _places(count: int, random: np.random.Generator) -> list[Place]:
    """Return positions of shapes that do not touch; start again if no space is left."""
    places: list[Place] = []
    tries = 0
    while len(places) < count:
        radius = int(random.integers(*_RADII, endpoint=True))
        x, y = (int(value) for value in random.integers(radius + 1, SIDE - radius - 1, 2))
        if all(math.hypot(x - a, y - b) > radius + r + _GAP for a, b, r in places):
            places.append((x, y, radius))
        tries += 1
        if tries % _TRIES == 0:
            places.clear()
    return places


def _color(random: np.random.Generator) -> Color:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


def _contrasting(other: Color, random: np.random.Generator) -> Color:
    """Return a color that stands out from another one."""
    while True:
        color = _color(random)
        if math.dist(color, other) > _CONTRAST:
            return color


def _similar(background: Color, random: np.random.Generator) -> Color:
    """Return a color that differs from the background, but less than any shape does."""
    step = random.choice((-1, 1)) * int(random.integers(30, 50, endpoint=True))
    if not all(0 <= value + step <= 255 for value in background):
        step = 40 if sum(background) < 3 * 128 else -40
    red, green, blue = (min(max(value + step, 0), 255) for value in background)
    return red, green, blue


def _plain(background: Color, _random: np.random.Generator) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), background)


def _pattern(background: Color, random: np.random.Generator, mask: Mask) -> Image.Image:
    pixels = np.where(mask[..., None], np.array(_similar(background, random)), np.array(background))
    return Image.fromarray(pixels.astype(np.uint8))


def _rotated_axes(random: np.random.Generator) -> tuple[Grid, Grid]:
    """Return pixel coordinates on axes that are rotated by a random angle."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    angle = random.uniform(0, math.pi)
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def _stripes(background: Color, random: np.random.Generator) -> Image.Image:
    along, _across = _rotated_axes(random)
    period = int(random.integers(6, 12))
    return _pattern(background, random, along % period < period / 2)


def _checks(background: Color, random: np.random.Generator) -> Image.Image:
    along, across = _rotated_axes(random)
    period = int(random.integers(5, 10))
    return _pattern(background, random, (along // period + across // period) % 2 == 0)


def _dots(background: Color, random: np.random.Generator) -> Image.Image:
    along, across = _rotated_axes(random)
    period = int(random.integers(7, 11))
    distance = np.hypot(along % period - period / 2, across % period - period / 2)
    return _pattern(background, random, distance < period * 0.27)


def _noise(background: Color, random: np.random.Generator) -> Image.Image:
    pixels = np.array(background) + random.normal(0, 22, (SIDE, SIDE, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


_BACKGROUNDS: Mapping[str, Callable[[Color, np.random.Generator], Image.Image]] = MappingProxyType(
    {"plain": _plain, "stripes": _stripes, "dots": _dots, "checks": _checks, "noise": _noise}
)
