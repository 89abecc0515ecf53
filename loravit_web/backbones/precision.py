"""Measurement of the fastest precision, because processors differ by more than a factor of two either way."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from loravit_web.backbones.base import Base
from loravit_web.backbones.measured import Remembers


def fastest_dtype(
    base: Base, *, image_size: int = 224, rounds: int = 3, clock: Callable[[], float] = time.perf_counter
) -> torch.dtype:
    """Time an image through two blocks in float32 and bfloat16, and return the faster dtype.

    bfloat16 is only chosen if it is at least 10 % faster, because float32 is more exact. An x86 processor
    without AVX-512 has no instructions for bfloat16 and is not measured.

    Args:
        base: Base in any precision.
        image_size: Maximum side of the timed image in pixels.
        rounds: Number of timed runs of each dtype.
        clock: Returns the time in seconds.
    """
    if base.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        return torch.float32
    candidates = {dtype: base.cast(dtype) for dtype in (torch.float32, torch.bfloat16)}
    seconds: dict[torch.dtype, list[float]] = {dtype: [] for dtype in candidates}
    image = torch.zeros(1, 3, *(image_size // base.patch_size * base.patch_size,) * 2)
    with torch.inference_mode():
        tokens = {dtype: candidate.embed(image) for dtype, candidate in candidates.items()}
        for lap in range(rounds + 1):
            for dtype, candidate in candidates.items():
                started = clock()
                candidate.advance(tokens[dtype], 0, min(2, base.depth))
                candidate.synchronize()
                if lap > 0:
                    seconds[dtype].append(clock() - started)
    # The fastest run: other programs of the machine only ever make one slower.
    single, half = (min(seconds[dtype]) for dtype in (torch.float32, torch.bfloat16))
    return torch.bfloat16 if half < 0.9 * single else torch.float32


def remembered_dtype(base: Base, remembers: Remembers) -> torch.dtype:
    """Return `fastest_dtype`, measured or remembered.

    Args:
        base: Base in float32.
        remembers: Keeps the measurements of this machine.
    """
    names = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float32, torch.bfloat16)}
    measured = {dtype: name for name, dtype in names.items()}
    return names[remembers.choose("precision", base, names, lambda: measured[fastest_dtype(base)])]
