"""The shared part of one call: tokens of each image at the depths where its tasks branch off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from loravit_web.backbones.base import Base
from loravit_web.engine.lru import LRU

TokenCache = LRU[tuple[str, int], torch.Tensor]
"""Prefix tokens (N, D) by the content of the image and the depth."""


class Trunk:
    """Runs the trunk once per image, and not at all for an image whose prefix tokens are known."""

    def __init__(self, base: Base, images: torch.Tensor, cache: TokenCache) -> None:
        self.base, self.images, self.cache = base, images, cache
        self.contents = [
            hashlib.sha256(image.contiguous().cpu().numpy().data).hexdigest() for image in images
        ]
        self.reached: list[tuple[int, torch.Tensor] | None] = [None] * len(images)

    def at(self, depth: int, rows: Sequence[int]) -> torch.Tensor:
        """Tokens (len(rows), N, D) before block ``depth``; never less deep than what was asked before."""
        behind: dict[int, list[int]] = {}
        for row in rows:
            reached = self.reached[row]
            if reached is not None and reached[0] == depth:
                continue
            cached = self.cache.get((self.contents[row], depth))
            if cached is not None:
                self.reached[row] = (depth, cached)
            else:
                behind.setdefault(-1 if reached is None else reached[0], []).append(row)
        for start, group in behind.items():
            self._advance(start, depth, group)
        return torch.stack([self._tokens(row) for row in rows])

    def _advance(self, start: int, depth: int, rows: Sequence[int]) -> None:
        if start < 0:
            tokens = self.base.advance(self.base.embed(self.images[list(rows)]), 0, depth)
        else:
            tokens = self.base.advance(torch.stack([self._tokens(row) for row in rows]), start, depth)
        for row, row_tokens in zip(rows, tokens, strict=True):
            kept = row_tokens.clone()
            self.reached[row] = (depth, kept)
            self.cache.put((self.contents[row], depth), kept)

    def _tokens(self, row: int) -> torch.Tensor:
        reached = self.reached[row]
        if reached is None:
            raise AssertionError("tokens are asked for before they were computed")
        return reached[1]
