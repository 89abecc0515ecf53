"""Small sample datasets that need no download. A new one is an entry in SAMPLES."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType

import numpy as np
from PIL import Image

from loravit_web.datasets.sources.scenes import Scene, draw_scenes
from loravit_web.datasets.splits import stratified_split

DIGIT_SIDE = 64
"""Side of the images of digits in pixels."""
SCENES = 1250
"""Number of scenes in each sample of drawn scenes."""
SCENES_SEED = 7


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample dataset.

    Attributes:
        title: Title of the dataset.
        generate: Yields (relative path, file bytes) in the layout of a class folder.
    """

    title: str
    generate: Callable[[], Iterator[tuple[str, bytes]]]


def _digits() -> Iterator[tuple[str, bytes]]:
    # Imported here because scikit-learn takes a second to import, and few processes need it.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    labels = [int(label) for label in bunch.target]
    _, held_out = stratified_split(labels, fraction=0.2, seed=0)
    test = frozenset(held_out.tolist())
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    for index, (gray, label) in enumerate(zip(pixels, labels, strict=True)):
        split = "test" if index in test else "train"
        image = Image.fromarray(gray).resize((DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.BICUBIC)
        yield f"{split}/{label}/{index:04d}.png", _png(image)


def _scenes(label: Callable[[Scene], str]) -> Callable[[], Iterator[tuple[str, bytes]]]:
    """Return a generator of the same scenes with one attribute as the class.

    Every fifth scene is a test image.
    """

    def generate() -> Iterator[tuple[str, bytes]]:
        for index, scene in enumerate(draw_scenes(SCENES, SCENES_SEED)):
            split = "test" if index % 5 == 0 else "train"
            yield f"{split}/{label(scene)}/{index:04d}.png", _png(scene.image)

    return generate


def _png(image: Image.Image) -> bytes:
    """Return an uncompressed PNG, so that the fingerprint does not depend on the version of zlib."""
    buffer = BytesIO()
    image.save(buffer, format="PNG", compress_level=0)
    return buffer.getvalue()


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "digits": Sample("Scanned digits (1797 images, 10 classes)", _digits),
        "shapes": Sample("Shapes in drawings (1250 images)", _scenes(lambda s: s.shape)),
        "counts": Sample("Object counts in drawings (1250 images)", _scenes(lambda s: s.count)),
        "textures": Sample("Background textures of drawings (1250 images)", _scenes(lambda s: s.texture)),
    }
)
"""Sample datasets by the name after ``sample:``."""
