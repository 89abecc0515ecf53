"""Memory of the process: freed memory for the system, and the garbage collector during a start."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Mapping
from functools import cache
from typing import Any

KEPT = 128 << 20
"""Size in bytes of freed memory at the end of the heap that the process keeps."""
_LARGEST = 32 << 20
"""Size in bytes from which an allocation is mapped and unmapped by itself; glibc allows no more."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def trim() -> None:
    """Return freed memory to the system if the C library keeps it, as glibc does in an arena per thread.

    Ten threads that each decoded a large image, one after the other, kept 300 to 500 MB.
    """
    if (function := _function("malloc_trim")) is not None:
        function(0)


def keep_freed_memory(environ: Mapping[str, str]) -> None:
    """Let freed memory be used again, instead of returning it to the system and asking for it anew.

    A training step allocates and frees 100 MB of tensors. glibc returned most of it each time, and the system
    cleared 26,000 pages for the next step: a sixth of the time of training, and a third of that of answers to
    32 images in bfloat16. An existing setting is not changed, and other C libraries are left alone.

    Args:
        environ: Environment of the process.
    """
    if "MALLOC_TRIM_THRESHOLD_" in environ or (function := _function("mallopt")) is None:
        return
    function(_MMAP_THRESHOLD, _LARGEST)
    function(_TRIM_THRESHOLD, KEPT)


def pause_collection() -> None:
    """Stop the garbage collector during a start, until `resume_collection`.

    Imports and the page make a million objects that stay. Looking through them again and again takes a sixth
    of the start.
    """
    gc.disable()


def resume_collection() -> None:
    """Start the garbage collector again, which ignores everything that exists now.

    So collections while the app answers are short, too.
    """
    gc.freeze()
    gc.enable()


@cache
def _function(name: str) -> Any:
    """Return a function of the C library, or None if it has none of this name."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
