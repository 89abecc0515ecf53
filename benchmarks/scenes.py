"""Drawn scenes: how many objects lie on a textured ground. Made here, since no set of the kind is at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 128
COUNTS = (1, 2, 3, 4, 5)
_SHAPES = ("ellipse", "rectangle", "triangle")
_TRIES = 1000

Place = tuple[int, int, int]
"""Centre and radius."""


def draw_scenes(folder: Path, *, per_class: int, seed: int) -> None:
    """Write ``folder/COUNT/NUMBER.png`` for each count; the same seed gives the same pictures."""
    generator = np.random.default_rng(seed)
    for count in COUNTS:
        (folder / str(count)).mkdir(parents=True)
        for number in range(per_class):
            _scene(count, generator).save(folder / str(count) / f"{number:04d}.png")


def _scene(count: int, generator: np.random.Generator) -> Image.Image:
    image = _ground(generator)
    draw = ImageDraw.Draw(image)
    for x, y, radius in _places(count, generator):
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        box = (x - radius, y - radius, x + radius, y + radius)
        shape = _SHAPES[generator.integers(len(_SHAPES))]
        if shape == "ellipse":
            draw.ellipse(box, fill=colour, outline="black")
        elif shape == "rectangle":
            draw.rectangle(box, fill=colour, outline="black")
        else:
            draw.polygon([(x, box[1]), (box[2], box[3]), (box[0], box[3])], fill=colour, outline="black")
    return image


def _ground(generator: np.random.Generator) -> Image.Image:
    """Blurred noise around one colour."""
    noise = generator.normal(generator.uniform(60, 200, 3), 60, (SIDE, SIDE, 3))
    pixels = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
    return pixels.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.5, 3))))


def _places(count: int, generator: np.random.Generator) -> list[Place]:
    """Places that do not touch each other."""
    places: list[Place] = []
    for _ in range(_TRIES):
        radius = int(generator.integers(8, 17))
        x, y = (int(value) for value in generator.integers(radius + 1, SIDE - radius - 1, 2))
        apart = all(max(abs(x - a), abs(y - b)) > radius + r + 2 for a, b, r in places)
        if apart:
            places.append((x, y, radius))
        if len(places) == count:
            return places
    return _places(count, generator)
