"""Drawn scenes: some equal shapes on a textured ground, so that several tasks can ask about one picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIDE = 112
COUNTS = ("1", "2", "3", "4", "5")
TEXTURES = ("plain", "stripes", "dots", "checks", "noise")
_RADII = (8, 14)
_GAP = 3
_CONTRAST = 140.0
_TRIES = 200

Colour = tuple[int, int, int]
Place = tuple[int, int, int]
"""Centre and radius in pixels."""
Points = Sequence[tuple[float, float]]
Grid = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture and what is true of it; each attribute but the picture is a class of one task."""

    image: Image.Image
    shape: str
    count: str
    texture: str


def draw_scenes(number: int, seed: int) -> Iterator[Scene]:
    """So many scenes, each of every attribute drawn on its own; the same seed gives the same pictures."""
    random = np.random.default_rng(seed)
    for _ in range(number):
        yield draw_scene(
            str(random.choice(list(SHAPES))), str(random.choice(COUNTS)), str(random.choice(TEXTURES)), random
        )


def draw_scene(shape: str, count: str, texture: str, random: np.random.Generator) -> Scene:
    """One scene with these attributes; colours, places and sizes are random."""
    ground = _colour(random)
    image = _GROUNDS[texture](ground, random)
    draw = ImageDraw.Draw(image)
    for x, y, radius in _places(int(count), random):
        turn = float(random.uniform(0, 2 * math.pi))
        points = [
            (
                x + radius * (u * math.cos(turn) - v * math.sin(turn)),
                y + radius * (u * math.sin(turn) + v * math.cos(turn)),
            )
            for u, v in SHAPES[shape]
        ]
        draw.polygon(points, fill=_far_from(ground, random), outline="black")
    return Scene(image, shape, count, texture)


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
"""Corners of each shape within the unit circle."""


def _places(count: int, random: np.random.Generator) -> list[Place]:
    """Places that do not touch each other; begun anew when one finds no room."""
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


def _colour(random: np.random.Generator) -> Colour:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


def _far_from(other: Colour, random: np.random.Generator) -> Colour:
    """A colour that stands out from another one."""
    while True:
        colour = _colour(random)
        if math.dist(colour, other) > _CONTRAST:
            return colour


def _near(ground: Colour, random: np.random.Generator) -> Colour:
    """A colour that is seen against the ground, but less than any shape is."""
    step = random.choice((-1, 1)) * int(random.integers(30, 50, endpoint=True))
    if not all(0 <= value + step <= 255 for value in ground):
        step = 40 if sum(ground) < 3 * 128 else -40
    red, green, blue = (min(max(value + step, 0), 255) for value in ground)
    return red, green, blue


def _plain(ground: Colour, _random: np.random.Generator) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), ground)


def _pattern(ground: Colour, random: np.random.Generator, mask: Mask) -> Image.Image:
    pixels = np.where(mask[..., None], np.array(_near(ground, random)), np.array(ground))
    return Image.fromarray(pixels.astype(np.uint8))


def _turned(random: np.random.Generator) -> tuple[Grid, Grid]:
    """Pixel coordinates on axes turned by a random angle."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    angle = random.uniform(0, math.pi)
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def _stripes(ground: Colour, random: np.random.Generator) -> Image.Image:
    along, _across = _turned(random)
    period = int(random.integers(6, 12))
    return _pattern(ground, random, along % period < period / 2)


def _checks(ground: Colour, random: np.random.Generator) -> Image.Image:
    along, across = _turned(random)
    period = int(random.integers(5, 10))
    return _pattern(ground, random, (along // period + across // period) % 2 == 0)


def _dots(ground: Colour, random: np.random.Generator) -> Image.Image:
    along, across = _turned(random)
    period = int(random.integers(7, 11))
    distance = np.hypot(along % period - period / 2, across % period - period / 2)
    return _pattern(ground, random, distance < period * 0.27)


def _noise(ground: Colour, random: np.random.Generator) -> Image.Image:
    pixels = np.array(ground) + random.normal(0, 22, (SIDE, SIDE, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


_GROUNDS: Mapping[str, Callable[[Colour, np.random.Generator], Image.Image]] = MappingProxyType(
    {"plain": _plain, "stripes": _stripes, "dots": _dots, "checks": _checks, "noise": _noise}
)
