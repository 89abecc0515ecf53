"""Example images: two photographs from scikit-learn, scanned digits and drawn scenes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from loravit_web.datasets.sources.scenes import draw_scene
from loravit_web.images.loading import encode_webp
from loravit_web.util.files import write_atomic

_LONGEST = 480
_PHOTOGRAPHS = {"Temple": "china.jpg", "Flower": "flower.jpg"}
_DIGITS = (0, 13)
_SCENES = (("star", "3", "stripes", 5), ("circle", "5", "plain", 2), ("cross", "2", "dots", 9))
_PLURALS = {"star": "stars", "circle": "circles", "cross": "crosses"}


def example_images(folder: Path) -> list[tuple[Path, str]]:
    """Return the example images as files with captions.

    Args:
        folder: Folder of the files. Missing files are written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for caption, image in _images():
        data = encode_webp(image)
        path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.webp"
        if not path.exists():
            write_atomic(path, data)
        found.append((path, caption))
    return found


def _shipped(folder: str, name: str) -> Path:
    """Return a data file of scikit-learn without importing it, which would take a second at every start."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise AssertionError("scikit-learn is one of the requirements")
    return Path(spec.origin).parent / "datasets" / folder / name


def _images() -> Iterator[tuple[str, Image.Image]]:
    for name, file in _PHOTOGRAPHS.items():
        photograph = Image.open(_shipped("images", file))
        photograph.thumbnail((_LONGEST, _LONGEST))
        yield name, photograph
    digits = np.loadtxt(_shipped("data", "digits.csv.gz"), delimiter=",", max_rows=max(_DIGITS) + 1)
    for *pixels, digit in digits[list(_DIGITS)]:
        grey = np.rint(np.reshape(pixels, (8, 8)) * (255 / 16)).astype(np.uint8)
        scan = Image.fromarray(grey).resize((128, 128), Image.Resampling.BICUBIC).convert("RGB")
        yield f"Digit {digit:.0f}", scan
    for shape, count, texture, seed in _SCENES:
        scene = draw_scene(shape, count, texture, np.random.default_rng(seed))
        caption = f"Drawing: {count} {_PLURALS[shape]}"
        yield caption, scene.image.resize((224, 224), Image.Resampling.LANCZOS)
