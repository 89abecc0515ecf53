"""Near-duplicates: images that look the same although their files differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loravit_web.datasets.records import ImageDataset, ImageItem
from loravit_web.images.loading import load_stored

MAX_IMAGES = 5000
"""Maximum number of images to compare. Of a larger dataset, an evenly spaced part is compared."""

MAX_BITS = 5
"""Maximum number of differing bits between the hashes of near-duplicates."""

MAX_DIFFERENCE = 6.0
"""Maximum mean difference of colors, 0 to 255, at 8 by 8 pixels.

Flat images share a hash, so the hash is not enough.
"""

_SMALL = 8
_ROWS = 512
_POPULATION = np.array([bin(value).count("1") for value in range(256)], dtype=np.uint8)

Bits = NDArray[np.uint64]
Smalls = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two images that look the same.

    Attributes:
        first: One of the images.
        second: The other image.
    """

    first: ImageItem
    second: ImageItem

    @property
    def across(self) -> bool:
        """Whether exactly one of the images is a training image."""
        return (self.first.split == "train") != (self.second.split == "train")


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Result of a search.

    Attributes:
        pairs: Pairs across splits first. Each image is in at most one pair.
        compared: Number of compared images.
    """

    pairs: tuple[NearPair, ...]
    compared: int

    @property
    def across(self) -> int:
        """Number of pairs between training images and other splits."""
        return sum(pair.across for pair in self.pairs)


def near_duplicates(
    dataset: ImageDataset, *, progress: Callable[[float], None] = lambda _: None, workers: int = 2
) -> NearDuplicates:
    """Compare all images of a dataset with one another.

    Args:
        dataset: Imported dataset.
        progress: Called with the completed fraction, 0 to 1.
        workers: Number of threads.

    Raises:
        ImageError: If an image can no longer be read.
    """
    items = _chosen(dataset.items)
    bits, smalls = [], []
    with ThreadPoolExecutor(workers, thread_name_prefix="hashing") as pool:
        for number, (hash_bits, small) in enumerate(pool.map(lambda item: _hashes(dataset, item), items)):
            bits.append(hash_bits)
            smalls.append(small)
            if number % 100 == 0:
                progress(number / len(items))
    found = _close_pairs(np.array(bits, dtype=np.uint64), np.array(smalls, dtype=np.int16))
    pairs = [NearPair(items[first], items[second]) for first, second in found]
    pairs = [
        pair for pair in pairs if pair.first.sha256 != pair.second.sha256
    ]  # identical files are reported by the import
    return NearDuplicates(_without_repeats(pairs), len(items))


def difference_hash(image: Image.Image) -> int:
    """Return 64 bits: for each of 8 by 8 positions, whether it is brighter than its right neighbor."""
    gray = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    flags = (gray[:, 1:] < gray[:, :-1]).ravel()
    return int.from_bytes(np.packbits(flags).tobytes(), "big")


def _hashes(dataset: ImageDataset, item: ImageItem) -> tuple[int, Smalls]:
    image = load_stored(dataset.image_path(item), tracked=True)
    small = image.resize((_SMALL, _SMALL), Image.Resampling.BOX)
    return difference_hash(image), np.asarray(small, dtype=np.int16).ravel()


def _chosen(items: Sequence[ImageItem]) -> Sequence[ImageItem]:
    step = -(-len(items) // MAX_IMAGES)
    return items[:: max(1, step)]


def _close_pairs(bits: Bits, smalls: Smalls) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(bits), _ROWS):
        differing = bits[start : start + _ROWS, None] ^ bits[None, :]
        distance = (
            _POPULATION[differing.view(np.uint8)].reshape(*differing.shape, 8).sum(axis=2, dtype=np.uint8)
        )
        for row, column in zip(*np.nonzero(distance <= MAX_BITS), strict=True):
            first, second = start + int(row), int(column)
            if first < second and np.abs(smalls[first] - smalls[second]).mean() <= MAX_DIFFERENCE:
                pairs.append((first, second))
    return pairs


def _without_repeats(pairs: Sequence[NearPair]) -> tuple[NearPair, ...]:
    """Keep at most one pair per image, because 1000 frames of a video are not half a million pairs."""
    seen: set[int] = set()
    kept = []
    for pair in sorted(pairs, key=lambda pair: not pair.across):
        if id(pair.first) not in seen and id(pair.second) not in seen:
            seen |= {id(pair.first), id(pair.second)}
            kept.append(pair)
    return tuple(kept)
