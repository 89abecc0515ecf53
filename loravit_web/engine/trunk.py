"""The shared part of one call: the tokens of each image at the blocks where its tasks branch off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from loravit_web.backbones.base import Base
from loravit_web.engine.lanes import Lanes, spread
from loravit_web.util.lru import LRU

TokenCache = LRU[tuple[str, int], torch.Tensor]
"""Prefix tokens (N, D) by the image's content hash and the depth."""
_NOT_EMBEDDED = -1
"""Depth of an image that has not been embedded yet."""


class Trunk:
    """Trunk passes of one call: one per image, and none if the image's prefix tokens are cached.

    Args:
        base: Base that runs.
        images: Normalized float32 images (B, 3, S, S).
        cache: Cache of prefix tokens.
        lanes: Lanes to compute in, or None.
    """

    def __init__(self, base: Base, images: torch.Tensor, cache: TokenCache, lanes: Lanes | None) -> None:
        self.base, self.images, self.cache, self.lanes = base, images, cache, lanes
        self.contents = [content_sha256(image) for image in images]
        self.depths = [_NOT_EMBEDDED] * len(images)
        self.tokens: list[torch.Tensor] = list(images)

    def tokens_at(self, depth: int, rows: Sequence[int]) -> list[torch.Tensor]:
        """Return the tokens (N, D) of each row before block ``depth``.

        Args:
            depth: Index of a block, not lower than in earlier calls.
            rows: Indices of images.
        """
        behind = [row for row in rows if not self._is_available(row, depth)]
        work = [float(depth - self.depths[row]) for row in behind]
        advanced = spread(
            self.lanes, work, lambda parts: self._advanced([behind[part] for part in parts], depth)
        )
        for row, tokens in zip(behind, advanced, strict=True):
            self.depths[row], self.tokens[row] = depth, tokens
            self.cache.put((self.contents[row], depth), tokens)
        return [self.tokens[row] for row in rows]

    def _is_available(self, row: int, depth: int) -> bool:
        """Return whether the tokens of that depth are available without computation."""
        if self.depths[row] != depth:
            cached = self.cache.get((self.contents[row], depth))
            if cached is not None:
                self.depths[row], self.tokens[row] = depth, cached
        return self.depths[row] == depth

    def _advanced(self, rows: Sequence[int], depth: int) -> list[torch.Tensor]:
        """Return the tokens of some rows at a depth, each computed from its current depth.

        Runs in any thread.
        """
        tokens: dict[int, torch.Tensor] = {}
        with torch.inference_mode():
            for start in {self.depths[row] for row in rows}:
                group = [row for row in rows if self.depths[row] == start]
                batch = torch.stack([self.tokens[row] for row in group])
                if start == _NOT_EMBEDDED:
                    batch = self.base.embed(batch)
                batch = self.base.advance(batch, max(start, 0), depth)
                # Cloned, because the cache counts single images: a view would keep its whole batch in memory.
                tokens |= {row: image.clone() for row, image in zip(group, batch, strict=True)}
        return [tokens[row] for row in rows]


def content_sha256(image: torch.Tensor) -> str:
    """Return the SHA-256 of a tensor's content."""
    return hashlib.sha256(image.contiguous().cpu().numpy().data).hexdigest()
