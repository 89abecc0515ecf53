"""Near-duplicates: pictures that look the same though their files differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loravit_web.datasets.records import ImageDataset, ImageItem
from loravit_web.images.loading import load_stored

MOST_IMAGES = 5000
"""More take too long to look at while somebody waits; then an even part is looked at."""

MAX_BITS = 5
"""Bits by which the hashes of two pictures may differ."""

MAX_DIFFERENCE = 6.0
"""Mean difference of the colours, of 255, of two pictures made 8 pixels wide: flat pictures share a hash."""

_SMALL = 8
_ROWS = 512
_POPULATION = np.array([bin(value).count("1") for value in range(256)], dtype=np.uint8)

Bits = NDArray[np.uint64]
Smalls = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two pictures that look the same."""

    first: ImageItem
    second: ImageItem

    @property
    def across(self) -> bool:
        """Whether one is trained on and the other is not."""
        return (self.first.split == "train") != (self.second.split == "train")


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """What a search found.

    Attributes:
        pairs: across the splits first; each picture in one pair only.
        looked_at: how many pictures were compared.
    """

    pairs: tuple[NearPair, ...]
    looked_at: int

    @property
    def across(self) -> int:
        """Pairs between the training images and the others."""
        return sum(pair.across for pair in self.pairs)


def near_duplicates(
    dataset: ImageDataset, *, progress: Callable[[float], None] = lambda _: None, workers: int = 2
) -> NearDuplicates:
    """Compare all pictures of a dataset with each other.

    Raises ImageError if one can't be read any more.
    """
    items = _chosen(dataset.items)
    bits, smalls = [], []
    with ThreadPoolExecutor(workers, thread_name_prefix="hashing") as pool:
        for number, (one, small) in enumerate(pool.map(lambda item: _look(dataset, item), items)):
            bits.append(one)
            smalls.append(small)
            if number % 100 == 0:
                progress(number / len(items))
    found = _close_pairs(np.array(bits, dtype=np.uint64), np.array(smalls, dtype=np.int16))
    pairs = [NearPair(items[first], items[second]) for first, second in found]
    pairs = [pair for pair in pairs if pair.first.sha256 != pair.second.sha256]  # told elsewhere
    return NearDuplicates(_each_once(pairs), len(items))


def difference_hash(picture: Image.Image) -> int:
    """64 bits: whether each of 8 × 8 places is brighter than the one to its right."""
    grey = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    flags = (grey[:, 1:] < grey[:, :-1]).ravel()
    return int.from_bytes(np.packbits(flags).tobytes(), "big")


def _look(dataset: ImageDataset, item: ImageItem) -> tuple[int, Smalls]:
    picture = load_stored(dataset.image_path(item), counted=True)
    small = picture.resize((_SMALL, _SMALL), Image.Resampling.BOX)
    return difference_hash(picture), np.asarray(small, dtype=np.int16).ravel()


def _chosen(items: Sequence[ImageItem]) -> Sequence[ImageItem]:
    step = -(-len(items) // MOST_IMAGES)
    return items[:: max(1, step)]


def _close_pairs(bits: Bits, smalls: Smalls) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(bits), _ROWS):
        apart = bits[start : start + _ROWS, None] ^ bits[None, :]
        distance = _POPULATION[apart.view(np.uint8)].reshape(*apart.shape, 8).sum(axis=2, dtype=np.uint8)
        for row, column in zip(*np.nonzero(distance <= MAX_BITS), strict=True):
            first, second = start + int(row), int(column)
            if first < second and np.abs(smalls[first] - smalls[second]).mean() <= MAX_DIFFERENCE:
                pairs.append((first, second))
    return pairs


def _each_once(pairs: Sequence[NearPair]) -> tuple[NearPair, ...]:
    """A thousand frames of one film are no half a million pairs."""
    seen: set[int] = set()
    kept = []
    for pair in sorted(pairs, key=lambda pair: not pair.across):
        if id(pair.first) not in seen and id(pair.second) not in seen:
            seen |= {id(pair.first), id(pair.second)}
            kept.append(pair)
    return tuple(kept)
