"""Caches of decoded and preprocessed images, so that another task for an image does not read it again."""

from __future__ import annotations

import weakref
from pathlib import Path

import torch
from PIL import Image

from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.images.loading import DECODING_POOL, REDUCED_ABOVE, SMALL_POOL, image_bytes, load_tracked
from loravit_web.util.lru import LRU

BUDGET, MAX_IMAGES = 4 * REDUCED_ABOVE, 64
"""Size in bytes of the cached images: one of the largest, or at most `MAX_IMAGES` small ones."""
PREPARED_BUDGET = 32 << 20
"""Size in bytes of the cached tensors."""
_Prepared = tuple[weakref.ref[Image.Image], torch.Tensor]


class RecentImages:
    """Cache of decoded image files. Thread-safe; the images must not be changed.

    Entries are evicted when their memory is needed for other images. A thread that opens an image must not
    hold another one (see `load_tracked`).

    Args:
        max_pixels: Maximum number of pixels of an image.
        budget: Maximum size of the cache in bytes; the least recently opened image is evicted first.
    """

    def __init__(self, max_pixels: int, budget: int = BUDGET) -> None:
        self._max_pixels = max_pixels
        self._cache: LRU[tuple[Path, int, int], Image.Image] = LRU(budget, _size)
        for pool in (DECODING_POOL, SMALL_POOL):
            pool.add_cache(self._cache.evict_oldest)

    def open(self, path: Path) -> Image.Image:
        """Return a file as an upright RGB image; the same object as long as the file is unchanged and cached.

        Raises:
            ImageError: If the file is not a readable image.
        """
        try:
            stat = path.stat()
        except OSError:
            return load_tracked(path, max_pixels=self._max_pixels)  # raises the error
        key = (path, stat.st_mtime_ns, stat.st_size)
        image = self._cache.get(key)
        if image is None:
            image = load_tracked(path, max_pixels=self._max_pixels)
            self._cache.put(key, image)
        return image


class PreparedImages:
    """Cache of preprocessed images, as long as the images exist. Thread-safe.

    Args:
        budget: Maximum size of the cache in bytes; the least recently used tensor is evicted first.
    """

    def __init__(self, budget: int = PREPARED_BUDGET) -> None:
        self._cache: LRU[tuple[int, Preprocessing], _Prepared] = LRU(budget, lambda entry: entry[1].nbytes)

    def tensor(self, image: Image.Image, preprocessing: Preprocessing) -> torch.Tensor:
        """Return the normalized float32 tensor (1, 3, S, S) of an RGB image; neither may be changed.

        Args:
            image: RGB image of any size.
            preprocessing: Preprocessing of the base.
        """
        key = (id(image), preprocessing)  # images have no hash, and a new one may get the same id
        entry = self._cache.get(key)
        if entry is not None and entry[0]() is image:
            return entry[1]
        tensor = preprocessing([image])
        self._cache.drop_where(lambda entry: entry[0]() is None)  # the image no longer exists
        self._cache.put(key, (weakref.ref(image), tensor))
        return tensor


def _size(image: Image.Image) -> int:
    """Return the size of an image in bytes; small ones count for more, so at most `MAX_IMAGES` are cached."""
    return max(image_bytes(image), BUDGET // MAX_IMAGES)
