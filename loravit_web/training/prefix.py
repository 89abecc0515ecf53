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
_BATCH = 32


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
    """Tokens before the first adapted block.

    Attributes:
        tokens: Tokens (V, N, T, D) for V views of N images with T tokens each, in the precision of the base,
            in memory or mapped from a file.
    """

    tokens: torch.Tensor

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
    ram_limit: int = RAM_LIMIT,
) -> PrefixTokens:
    """Run the trunk on images and return the prefix tokens.

    Args:
        base: Base in the precision of the training.
        paths: Files of the N images.
        preprocessing: Preprocessing of the images.
        first_block: Number of blocks of the trunk.
        mirror: Whether to add a mirrored view.
        scratch: File to map if the tokens need more than ``ram_limit`` bytes.
        progress: Called with the completed fraction after each batch; may raise an error to stop.
        ram_limit: Maximum size of tokens in memory, in bytes.

    Raises:
        StoredImageUnusable: If an image can no longer be read.
    """
    views = 2 if mirror else 1
    shape = (views, len(paths), base.token_count(preprocessing.image_size), base.embed_dim)
    tokens = _allocate(shape, base.dtype, scratch, ram_limit)
    done = 0
    with torch.inference_mode():
        for start, images in _loaded(paths, preprocessing):
            for view in range(views):
                batch = images.flip(-1) if view else images
                batch = batch.to(base.device)
                tokens[view, start : start + len(batch)] = base.advance(base.embed(batch), 0, first_block)
            done += len(images)
            progress(done / max(len(paths), 1))
    return PrefixTokens(tokens)


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
