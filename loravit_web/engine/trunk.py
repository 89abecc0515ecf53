"""The shared part of one call: tokens of each image at the depths where its tasks branch off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from loravit_web.backbones.base import Base
from loravit_web.engine.lanes import Lanes, spread
from loravit_web.util.lru import LRU

TokenCache = LRU[tuple[str, int], torch.Tensor]
"""Prefix tokens (N, D) by the content of the image and the depth."""
_NOWHERE = -1
"""The depth of an image whose pixels are not yet tokens."""


class Trunk:
    """Runs the trunk once per image, and not at all for an image whose prefix tokens are known."""

    def __init__(self, base: Base, images: torch.Tensor, cache: TokenCache, lanes: Lanes | None) -> None:
        self.base, self.images, self.cache, self.lanes = base, images, cache, lanes
        self.contents = [content_of(image) for image in images]
        self.depths = [_NOWHERE] * len(images)
        self.tokens: list[torch.Tensor] = list(images)

    def at(self, depth: int, rows: Sequence[int]) -> list[torch.Tensor]:
        """Tokens (N, D) of each row before block ``depth``; never less deep than what was asked before."""
        behind = [row for row in rows if not self._found(row, depth)]
        work = [float(depth - self.depths[row]) for row in behind]
        advanced = spread(
            self.lanes, work, lambda parts: self._advanced([behind[part] for part in parts], depth)
        )
        for row, tokens in zip(behind, advanced, strict=True):
            self.depths[row], self.tokens[row] = depth, tokens
            self.cache.put((self.contents[row], depth), tokens)
        return [self.tokens[row] for row in rows]

    def _found(self, row: int, depth: int) -> bool:
        """Whether the tokens of that depth are at hand."""
        if self.depths[row] != depth:
            cached = self.cache.get((self.contents[row], depth))
            if cached is not None:
                self.depths[row], self.tokens[row] = depth, cached
        return self.depths[row] == depth

    def _advanced(self, rows: Sequence[int], depth: int) -> list[torch.Tensor]:
        """Tokens of some rows, wherever each of them is; for a thread of its own."""
        tokens: dict[int, torch.Tensor] = {}
        with torch.inference_mode():
            for start in {self.depths[row] for row in rows}:
                group = [row for row in rows if self.depths[row] == start]
                batch = torch.stack([self.tokens[row] for row in group])
                if start == _NOWHERE:
                    batch = self.base.embed(batch)
                batch = self.base.advance(batch, max(start, 0), depth)
                # Clones, because the cache counts single images and not the batches they came from.
                tokens |= {row: one.clone() for row, one in zip(group, batch, strict=True)}
        return [tokens[row] for row in rows]


def content_of(image: torch.Tensor) -> str:
    """A name for the content of a tensor: its SHA-256."""
    return hashlib.sha256(image.contiguous().cpu().numpy().data).hexdigest()
