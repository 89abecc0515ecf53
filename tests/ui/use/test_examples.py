"""The example images are what scikit-learn's own loaders give, at less cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageChops
from sklearn.datasets import load_digits, load_sample_images

from loravit_web.images.loading import load_rgb
from loravit_web.ui.use.examples import example_images


def test_they_are_photographs_digits_and_scenes_and_are_written_once(tmp_path: Path) -> None:
    images = example_images(tmp_path)
    assert [caption for _, caption in images] == [
        "Temple",
        "Flower",
        "Digit 0",
        "Digit 3",
        "Drawing: 3 stars",
        "Drawing: 5 circles",
        "Drawing: 2 crosses",
    ]
    assert all(min(load_rgb(path).size) >= 100 for path, _ in images)
    written = {path: path.stat().st_mtime_ns for path, _ in images}
    assert example_images(tmp_path) == images
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_photographs_and_digits_are_those_of_the_library(tmp_path: Path) -> None:
    temple, flower, zero, three, *_ = (Image.open(path) for path, _ in example_images(tmp_path))
    for found, pixels in zip((temple, flower), load_sample_images().images, strict=True):
        assert difference(found, Image.fromarray(pixels)) < 6
    for found, index in ((zero, 0), (three, 13)):
        grey = Image.fromarray(np.rint(load_digits().images[index] * (255 / 16)).astype(np.uint8))
        assert difference(found, grey.convert("RGB")) < 12


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean distance of two images, scaled to one size, in grey levels."""
    size = (64, 64)
    gap = ImageChops.difference(one.convert("RGB").resize(size), other.resize(size))
    return float(np.asarray(gap).mean())
