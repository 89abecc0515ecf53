"""Photographs by their dominant colour, as a rule on their pixels says; rare colours by turning hues."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SHARE = 0.5
"""Of the pixels that a colour must cover to be the dominant one."""
_HUES = (
    (15, "red"),
    (42, "orange"),
    (70, "yellow"),
    (165, "green"),
    (260, "blue"),
    (300, "purple"),
    (345, "pink"),
)
COLOURS = ("black", "blue", "brown", "green", "grey", "orange", "pink", "purple", "red", "white", "yellow")
_NONE = ""
"""Of pixels that people would not agree about."""
_TRIES = 60

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def dominant_colour(image: Image.Image) -> str | None:
    """The colour of at least `SHARE` of the pixels; None when there is none."""
    hue, saturation, value = np.moveaxis(np.asarray(image.convert("HSV"), dtype=float), -1, 0)
    names = np.full(hue.shape, "red", dtype="<U6")
    degrees = hue * 360 / 255
    for upper, name in reversed(_HUES):
        names[degrees < upper] = name
    names[degrees >= _HUES[-1][0]] = "red"
    names[(names == "orange") & (value < 150)] = "brown"
    names[(names == "red") & (value < 110)] = "brown"
    names[(names == "red") & (saturation < 120) & (value > 170)] = "pink"
    names[np.isin(names, ("orange", "yellow")) & (saturation < 120)] = _NONE
    names[(names == "yellow") & (value < 150)] = _NONE
    names[saturation < 45] = "grey"
    names[(saturation < 30) & (value > 215)] = "white"
    names[value < 45] = "black"
    (name, count), *_ = Counter(names.ravel().tolist()).most_common(1)
    return str(name) if name != _NONE and count >= SHARE * names.size else None


def write_colours(photographs: Path, folder: Path, *, train: int, test: int, seed: int = 0) -> None:
    """Write class folders below ``train/`` and ``test/`` of ``folder``.

    Args:
        photographs: a zip with ``train/`` and ``test/`` above its class folders.
        train, test: images of each colour.
    """
    random = np.random.default_rng(seed)
    with zipfile.ZipFile(photographs) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith((".jpg", ".png")))
        for split, wanted in (("train", train), ("test", test)):
            images = [
                Image.open(io.BytesIO(archive.read(name))).convert("RGB")
                for name in names
                if f"{split}/" in name
            ]
            _write_split(images, folder / split, wanted, random)


def _write_split(images: list[Image.Image], folder: Path, wanted: int, random: np.random.Generator) -> None:
    missing = dict.fromkeys(COLOURS, wanted)
    for lap in range(_TRIES):
        for index in random.permutation(len(images)):
            if not any(missing.values()):
                return
            image = images[index]
            shown = image if lap == 0 else _turned(image, int(random.integers(1, 255)))
            colour = dominant_colour(shown)
            if colour is None or not missing[colour]:
                continue
            target = folder / colour
            target.mkdir(parents=True, exist_ok=True)
            shown.save(target / f"{wanted - missing[colour]:04d}.png")
            missing[colour] -= 1
    short = ", ".join(colour for colour, count in missing.items() if count)
    raise ValueError(f"the photographs do not hold enough of {short}")


def _turned(image: Image.Image, by: int) -> Image.Image:
    """All hues turned by so many 255ths of the circle."""
    hsv: Pixels = np.asarray(image.convert("HSV")).copy()
    hsv[..., 0] += np.uint8(by)
    return Image.fromarray(hsv, "HSV").convert("RGB")
