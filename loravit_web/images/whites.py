"""Brightness of images of more than 8 bits: which value becomes white, in one image and in all of a set.

An image alone is scaled from the bits that it uses, because its file does not say how many bits its camera
has. In a set, that would make dark images as bright as others. So the images of a set, and those that a task
of it answers, are scaled from the bits that the set uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

Kind = Literal["integer", "decimal"]
"""Kind of the values of an image: whole numbers or floating-point numbers."""
Pixels = np.ndarray[Any, np.dtype[np.uint8]]

LEVELS = "levels"
"""Key of the `Levels` of an image of more than 8 bits, in the `info` of its RGB image."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Values of an image of more than 8 bits that became black and white.

    Attributes:
        kind: Kind of the values.
        black: Value that became black: 0, or the smallest one if it is below zero.
        white: Value that became white.
    """

    kind: Kind
    black: float
    white: float


@dataclass(frozen=True, slots=True)
class Whites:
    """Values that become white in all images of a set, by their kind.

    Attributes:
        integer: Value for images of whole numbers, or None if the set has no such image.
        decimal: Value for images of floating-point numbers, or None if the set has no such image.
    """

    integer: float | None = None
    decimal: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the set has no image of more than 8 bits."""
        return self.integer is None and self.decimal is None

    def of(self, kind: Kind) -> float | None:
        """Return the value for images of a kind."""
        return self.integer if kind == "integer" else self.decimal

    def joined(self, other: Whites) -> Whites:
        """Return the values for the images of both sets: the larger ones."""
        return Whites(_larger(self.integer, other.integer), _larger(self.decimal, other.decimal))

    def as_json(self) -> dict[str, float | None]:
        """Return the record as plain JSON; see `from_json`."""
        return {"integer": self.integer, "decimal": self.decimal}

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> Whites | None:
        """Return the record of a document of `as_json`, or None for none.

        Raises:
            KeyError: If a value is missing.
            TypeError: If a value has another form.
            ValueError: If a value is not above zero.
        """
        if document is None:
            return None
        return cls(_value(document["integer"]), _value(document["decimal"]))


NO_WHITES = Whites()
"""Those of a set without images of more than 8 bits."""


def levels_of(image: Image.Image) -> Levels | None:
    """Return the levels of a decoded image, or None if it has 8 bits."""
    found = image.info.get(LEVELS)
    return found if isinstance(found, Levels) else None


def whites_of(images: Iterable[Levels]) -> Whites:
    """Return what becomes white in a set: the largest white of its images.

    Images with values below zero do not count, because their black differs.

    Args:
        images: Levels of the images of more than 8 bits.
    """
    known: dict[Kind, float] = {}
    for levels in images:
        if levels.black == 0:
            known[levels.kind] = max(levels.white, known.get(levels.kind, 0.0))
    return Whites(known.get("integer"), known.get("decimal"))


def scaled(pixels: Pixels, levels: Levels | None, whites: Whites | None) -> Pixels:
    """Return the uint8 values of an image as bright as in a set.

    An image with values above the white of the set keeps its own scale: it has more bits than the set, so
    most of it would become white.

    Args:
        pixels: Values of the image, scaled by its own levels.
        levels: Levels of the image, or None if it has 8 bits.
        whites: What becomes white in the set, or None to return the values as they are.
    """
    if levels is None or whites is None or levels.black < 0:
        return pixels
    white = whites.of(levels.kind)
    if white is None or white <= levels.white:
        return pixels
    table: Pixels = np.rint(np.arange(256) * (levels.white / white)).astype(np.uint8)
    return table[pixels]


def scaled_image(image: Image.Image, whites: Whites | None) -> Image.Image:
    """Return an RGB image as bright as in a set; see `scaled`."""
    pixels = np.asarray(image)
    found = scaled(pixels, levels_of(image), whites)
    return image if found is pixels else Image.fromarray(found)


def _larger(first: float | None, second: float | None) -> float | None:
    known = [value for value in (first, second) if value is not None]
    return max(known, default=None)


def _value(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("a white is a number")
    if not 0 < value < float("inf"):
        raise ValueError("a white is above zero")
    return float(value)
