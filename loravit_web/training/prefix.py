"""Prefix tokens of a dataset: the trunk runs once per image and view, not once per epoch.

A view is a fixed variant of an image: plain or mirrored. The output of the frozen trunk never changes, so
each epoch only costs the adapted blocks.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from loravit_web.backbones.base import Base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.images.loading import ImageError, load_stored

RAM_LIMIT = 1 << 30
"""Size in bytes above which prefix tokens are mapped from a file."""
SCRATCH_SUFFIX = ".tokens"
"""Suffix of the mapped files, which can be computed again."""
_BATCH = 32
_GPU_SHARE = 0.25
"""Fraction of a GPU's free memory that the tokens of a split may take."""


class StoredImageUnusable(ImageError):
    """An imported image that can no longer be read.

    Attributes:
        path: File of the image.
    """

    def __init__(self, path: Path, reason: ImageError) -> None:
        super().__init__(str(reason))
        self.path = path


@dataclass(frozen=True, eq=False)
class PrefixTokens:
    """What the frozen base computes for the images of one split.

    Attributes:
        tokens: Tokens (V, N, T, D) before the first adapted block, for V views of N images with T tokens
            each, in the precision of the base, in memory, on its GPU, or mapped from a file. T is 0
            if they were not kept.
        pooled: Float32 `Base.parts` (N, L, P, D) after each of the L blocks of the base, for the plain view.
    """

    tokens: torch.Tensor
    pooled: torch.Tensor

    @property
    def views(self) -> int:
        """Number of views per image."""
        return self.tokens.shape[0]

    def __len__(self) -> int:
        return self.tokens.shape[1]


def compute_prefix_tokens(
    base: Base,
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    *,
    first_block: int,
    mirror: bool,
    scratch: Path,
    progress: Callable[[float], None],
    keep_tokens: bool = True,
    ram_limit: int = RAM_LIMIT,
) -> PrefixTokens:
    """Run the frozen base on images; return the tokens before the first adapted block, and pooled values.

    Mirrored views only run through the trunk.

    Args:
        base: Base in the precision of the training.
        paths: Files of the N images.
        preprocessing: Preprocessing of the images.
        first_block: Number of blocks of the trunk.
        mirror: Whether to add a mirrored view.
        scratch: File to map if the tokens need more than ``ram_limit`` bytes.
        progress: Called with the completed fraction after each batch; may raise an error to stop.
        keep_tokens: Whether to return tokens, and not pooled values only.
        ram_limit: Maximum size of tokens in memory, in bytes.

    Raises:
        StoredImageUnusable: If an image can no longer be read.
    """
    views = 2 if mirror else 1
    kept = base.token_count(preprocessing.image_size) if keep_tokens else 0
    shape = (views, len(paths), kept, base.embed_dim)
    if _fits_on_gpu(base, math.prod(shape)):
        tokens = torch.empty(shape, dtype=base.dtype, device=base.device)
    else:
        tokens = _allocate(shape, base.dtype, scratch, ram_limit)
    parts = (len(paths), base.depth, len(base.parts), base.embed_dim)
    pooled = _allocate(parts, torch.float32, scratch.with_suffix(f".pooled{SCRATCH_SUFFIX}"), ram_limit)
    done = 0
    with torch.inference_mode():
        for start, images in _loaded(paths, preprocessing):
            rows = slice(start, start + len(images))
            for view in range(views):
                batch = images.flip(-1) if view else images
                output = base.trunk(base.embed(batch.to(base.device)), 0, first_block)
                if keep_tokens:
                    tokens[view, rows] = output.tokens
                if view == 0:
                    above = base.trunk(output.tokens, first_block, base.depth)
                    pooled[rows] = torch.cat([output.pooled, above.pooled], dim=1)
            done += len(images)
            progress(done / max(len(paths), 1))
    return PrefixTokens(tokens, pooled)


def _loaded(paths: Sequence[Path], preprocessing: Preprocessing) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield batches of preprocessed images; the next one is decoded while the current one is computed."""
    stopped = threading.Event()

    def load(start: int) -> torch.Tensor:
        prepared = [preprocessing([])]
        for path in paths[start : start + _BATCH]:
            if stopped.is_set():
                break
            try:
                # one at a time, because 32 large images would take gigabytes
                prepared.append(preprocessing([load_stored(path)]))
            except ImageError as error:
                raise StoredImageUnusable(path, error) from error
        return torch.cat(prepared)

    starts = range(0, len(paths), _BATCH)
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as leaving:
        leaving.callback(stopped.set)  # before the pool waits for its current job
        pending = None
        for start in starts:
            current = pending if pending is not None else pool.submit(load, start)
            following = start + _BATCH
            pending = pool.submit(load, following) if following < len(paths) else None
            yield start, current.result()


def _fits_on_gpu(base: Base, count: int) -> bool:
    """Return whether the base is on a GPU that has room for a number of values beside the training."""
    if base.device.type != "cuda":
        return False
    free, _total = torch.cuda.mem_get_info(base.device)
    return bool(count * base.dtype.itemsize <= _GPU_SHARE * free)


def _allocate(shape: tuple[int, ...], dtype: torch.dtype, scratch: Path, ram_limit: int) -> torch.Tensor:
    count = math.prod(shape)
    if count * dtype.itemsize <= ram_limit:
        return torch.empty(shape, dtype=dtype)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    scratch.unlink(missing_ok=True)  # never truncate a file that another process may still map
    if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a crash once the file is mapped
        with scratch.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, count * dtype.itemsize)
    return torch.from_file(str(scratch), shared=True, size=count, dtype=dtype).view(shape)
