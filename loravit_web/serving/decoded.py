"""Pictures of a moment ago: who picks another task for one does not wait until it is read again."""

from __future__ import annotations

import weakref
from pathlib import Path

import torch
from PIL import Image

from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.images.loading import DECODING_POOL, REDUCED_ABOVE, SMALL_POOL, image_bytes, load_tracked
from loravit_web.util.lru import LRU

BUDGET, MOST = 4 * REDUCED_ABOVE, 64
"""Bytes for decoded pictures, one of the largest; and how many of small ones."""
PREPARED_BUDGET = 32 << 20
_Prepared = tuple[weakref.ref[Image.Image], torch.Tensor]


class RecentPictures:
    """Files as they were decoded. Safe to use from any number of threads; nobody may change a picture.

    What is kept is let go when its memory is needed for others. Whoever opens a picture must hold no other
    (see `load_tracked`).
    """

    def __init__(self, max_pixels: int, budget: int = BUDGET) -> None:
        """
        Args:
            max_pixels: width times height above which a picture is refused.
            budget: bytes for what is kept; what was opened least recently is forgotten.
        """
        self._max_pixels = max_pixels
        self._kept: LRU[tuple[Path, int, int], Image.Image] = LRU(budget, _size)
        for pool in (DECODING_POOL, SMALL_POOL):
            pool.add_cache(self._kept.drop_oldest)

    def open(self, path: Path) -> Image.Image:
        """A file as RGB, upright; the same object while the file is the same and its picture is kept.

        Raises:
            ImageError: if it is no readable picture.
        """
        try:
            stat = path.stat()
        except OSError:
            return load_tracked(path, max_pixels=self._max_pixels)  # which says what is wrong
        key = (path, stat.st_mtime_ns, stat.st_size)
        picture = self._kept.get(key)
        if picture is None:
            picture = load_tracked(path, max_pixels=self._max_pixels)
            self._kept.put(key, picture)
        return picture


class PreparedPictures:
    """What bases are given of pictures, while there is the picture. Safe as the above."""

    def __init__(self, budget: int = PREPARED_BUDGET) -> None:
        """
        Args:
            budget: bytes for what is kept; what was asked for least recently is forgotten.
        """
        self._kept: LRU[tuple[int, Preprocessing], _Prepared] = LRU(budget, lambda kept: kept[1].nbytes)

    def of(self, picture: Image.Image, preprocessing: Preprocessing) -> torch.Tensor:
        """float32 (1, 3, S, S) of an RGB picture of any size; nobody may change either."""
        key = (id(picture), preprocessing)  # a picture has no hash, and another one may follow at its place
        kept = self._kept.get(key)
        if kept is not None and kept[0]() is picture:
            return kept[1]
        tensor = preprocessing([picture])
        self._kept.drop_where(lambda kept: kept[0]() is None)  # nobody can ask with that picture again
        self._kept.put(key, (weakref.ref(picture), tensor))
        return tensor


def _size(picture: Image.Image) -> int:
    """Bytes; small ones count for more, so that no more than `MOST` are kept of them."""
    return max(image_bytes(picture), BUDGET // MOST)
