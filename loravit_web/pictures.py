"""Pictures of a moment ago: who picks another task for one does not wait until it is read again."""

from __future__ import annotations

import weakref
from pathlib import Path

import torch
from PIL import Image

from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.engine.lru import LRU
from loravit_web.images import MAX_PIXELS, load_rgb

BUDGET = 3 * MAX_PIXELS
"""Bytes for decoded pictures: one of the largest."""


class RecentPictures:
    """Files as they were decoded. Safe to use from any number of threads; nobody may change a picture."""

    def __init__(self, max_pixels: int, budget: int = BUDGET) -> None:
        """
        Args:
            max_pixels: width times height above which a picture is refused.
            budget: bytes for what is kept; what was opened least recently is forgotten.
        """
        self._max_pixels = max_pixels
        self._kept: LRU[tuple[Path, int, int], Image.Image] = LRU(budget, _nbytes)

    def open(self, path: Path) -> Image.Image:
        """A file as RGB, upright; the same object while the file is the same and its picture is kept.

        Raises:
            ImageError: if it is no readable picture.
        """
        try:
            stat = path.stat()
        except OSError:
            return load_rgb(path, max_pixels=self._max_pixels)  # which says what is wrong
        key = (path, stat.st_mtime_ns, stat.st_size)
        picture = self._kept.get(key)
        if picture is None:
            picture = load_rgb(path, max_pixels=self._max_pixels)
            self._kept.put(key, picture)
        return picture


class PreparedPictures:
    """What bases are given of pictures, kept as long as somebody keeps the picture. Safe as the above."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref[Image.Image], dict[Preprocessing, torch.Tensor]]] = {}

    def of(self, picture: Image.Image, preprocessing: Preprocessing) -> torch.Tensor:
        """float32 (1, 3, S, S) of an RGB picture of any size; nobody may change either."""
        tensors = self._tensors(picture)
        if preprocessing not in tensors:
            tensors[preprocessing] = preprocessing([picture])
        return tensors[preprocessing]

    def _tensors(self, picture: Image.Image) -> dict[Preprocessing, torch.Tensor]:
        key = id(picture)  # a picture has no hash
        kept = self._kept.get(key)
        if kept is not None and kept[0]() is picture:
            return kept[1]
        tensors: dict[Preprocessing, torch.Tensor] = {}
        self._kept[key] = (weakref.ref(picture, lambda _gone: self._kept.pop(key, None)), tensors)
        return tensors


def _nbytes(picture: Image.Image) -> int:
    return 3 * picture.width * picture.height
