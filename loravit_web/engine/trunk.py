"""The shared part of one call: what the trunk computes for each image up to where its tasks branch off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

import torch

from loravit_web.backbones.base import Base, TrunkOutput
from loravit_web.engine.compiled import CompiledParts, TrunkRun
from loravit_web.engine.lanes import Lanes, spread
from loravit_web.util.lru import LRU

TokenCache = LRU[tuple[str, int], TrunkOutput]
"""Prefix tokens (N, D) and pooled values (L, P, D) by the image's content hash and the depth L."""
_NOT_EMBEDDED = -1
"""Depth of an image that has not been embedded yet."""


class Trunk:
    """Trunk passes of one call: one per image, and none if the image's prefix tokens are cached.

    Args:
        base: Base that runs.
        images: Normalized float32 images (B, 3, S, S).
        cache: Cache of prefix tokens.
        lanes: Lanes to compute in, or None.
        compiled: Compiled parts of the base, or None to compute in PyTorch alone.
    """

    def __init__(
        self,
        base: Base,
        images: torch.Tensor,
        cache: TokenCache,
        lanes: Lanes | None,
        compiled: CompiledParts | None = None,
    ) -> None:
        self.base, self.images, self.cache, self.lanes = base, images, cache, lanes
        self._compiled = compiled
        self.contents = [content_sha256(image) for image in images]
        self.depths = [_NOT_EMBEDDED] * len(images)
        self.outputs = [TrunkOutput(image, image.new_empty(0)) for image in images]

    def at(self, depth: int, rows: Sequence[int]) -> list[TrunkOutput]:
        """Return what the trunk computes for each row before block ``depth``.

        Args:
            depth: Index of a block, not lower than in earlier calls.
            rows: Indices of images.

        Returns:
            Tokens (N, D) and pooled values (L, P, D) of the L = ``depth`` blocks below.
        """
        behind = [row for row in rows if not self._is_available(row, depth)]
        run = self._compiled_run(behind, depth)
        if run is not None:
            advanced = self._advanced(behind, depth, run)
        else:
            work = [float(depth - self.depths[row]) for row in behind]
            advanced = spread(
                self.lanes, work, lambda parts: self._advanced([behind[part] for part in parts], depth)
            )
        for row, output in zip(behind, advanced, strict=True):
            self.depths[row], self.outputs[row] = depth, output
            self.cache.put((self.contents[row], depth), output)
        return [self.outputs[row] for row in rows]

    def _is_available(self, row: int, depth: int) -> bool:
        """Return whether the output at that depth is available without computation."""
        if self.depths[row] != depth:
            cached = self.cache.get((self.contents[row], depth))
            if cached is not None:
                self.depths[row], self.outputs[row] = depth, cached
        return self.depths[row] == depth

    def _compiled_run(self, rows: Sequence[int], depth: int) -> TrunkRun | None:
        """Return what takes some rows together to a depth, or None if there is no compiled part that does."""
        starts = {self.depths[row] for row in rows}
        if self._compiled is None or len(starts) != 1:
            return None
        start = max(starts.pop(), 0)
        return self._compiled.trunk(len(rows), self.images.shape[-1], start, depth) if start < depth else None

    def _advanced(self, rows: Sequence[int], depth: int, run: TrunkRun | None = None) -> list[TrunkOutput]:
        """Return the outputs of some rows at a depth, each computed from its current depth.

        Runs in any thread.

        Args:
            rows: Indices of images.
            depth: Index of a block.
            run: Runs the blocks, for rows of the same current depth; None for those of the base.
        """
        outputs: dict[int, TrunkOutput] = {}
        with torch.inference_mode():
            for start in {self.depths[row] for row in rows}:
                compute = run or partial(self.base.trunk, start=max(start, 0), stop=depth)
                group = [row for row in rows if self.depths[row] == start]
                batch = torch.stack([self.outputs[row].tokens for row in group])
                if start == _NOT_EMBEDDED:
                    batch = self.base.embed(batch)
                tokens, pooled = compute(batch)
                if start > 0:
                    below = torch.stack([self.outputs[row].pooled for row in group])
                    pooled = torch.cat([below, pooled], dim=1)
                # Cloned, because the cache counts single images: a view would keep its whole batch in memory.
                outputs |= {
                    row: TrunkOutput(tokens[i].clone(), pooled[i].clone()) for i, row in enumerate(group)
                }
        return [outputs[row] for row in rows]


def content_sha256(image: torch.Tensor) -> str:
    """Return the SHA-256 of a tensor's content."""
    return hashlib.sha256(image.contiguous().cpu().numpy().data).hexdigest()
