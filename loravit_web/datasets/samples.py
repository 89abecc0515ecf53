"""Small real datasets that come with the installed libraries: a new one is one entry in SAMPLES."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType

import numpy as np
from PIL import Image

from loravit_web.datasets.splits import stratified_split

DIGIT_SIDE = 64


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
        # Stored without compression, so that the fingerprint does not depend on the zlib in use.
        buffer = BytesIO()
        picture.save(buffer, format="PNG", compress_level=0)
        yield f"{split}/{label}/{index:04d}.png", buffer.getvalue()


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {"digits": Sample("Handwritten digits (1797 scans, 10 classes)", _digits)}
)
"""Built-in datasets by the name that follows `sample:`."""
