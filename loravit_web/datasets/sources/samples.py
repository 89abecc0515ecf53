"""Small datasets that need no download, scanned or drawn: a new one is one entry in SAMPLES."""

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
SCENES = 1250
SCENES_SEED = 7


@dataclass(frozen=True, slots=True)
class Sample:
    """A title to show, and a generator of (relative path, file bytes) in the layout of a class folder."""

    title: str
    generate: Callable[[], Iterator[tuple[str, bytes]]]


def _digits() -> Iterator[tuple[str, bytes]]:
    # Imported here because scikit-learn takes a second to load and few processes need it.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    labels = [int(label) for label in bunch.target]
    _, held_out = stratified_split(labels, fraction=0.2, seed=0)
    test = frozenset(held_out.tolist())
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    for index, (grey, label) in enumerate(zip(pixels, labels, strict=True)):
        split = "test" if index in test else "train"
        picture = Image.fromarray(grey).resize((DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.BICUBIC)
        yield f"{split}/{label}/{index:04d}.png", _png(picture)


def _scenes(label: Callable[[Scene], str]) -> Callable[[], Iterator[tuple[str, bytes]]]:
    """The same drawn scenes under the classes of one of their attributes; every fifth is for testing."""

    def generate() -> Iterator[tuple[str, bytes]]:
        for index, scene in enumerate(draw_scenes(SCENES, SCENES_SEED)):
            split = "test" if index % 5 == 0 else "train"
            yield f"{split}/{label(scene)}/{index:04d}.png", _png(scene.image)

    return generate


def _png(picture: Image.Image) -> bytes:
    """Stored without compression, so that the fingerprint does not depend on the zlib in use."""
    buffer = BytesIO()
    picture.save(buffer, format="PNG", compress_level=0)
    return buffer.getvalue()


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "digits": Sample("Scanned digits (1797 pictures, 10 classes)", _digits),
        "shapes": Sample("Shapes in drawn scenes (1250 pictures)", _scenes(lambda s: s.shape)),
        "counts": Sample("How many in drawn scenes (1250 pictures)", _scenes(lambda s: s.count)),
        "textures": Sample("Grounds of drawn scenes (1250 pictures)", _scenes(lambda s: s.texture)),
    }
)
"""Built-in datasets by the name that follows `sample:`."""
