"""Memory of the process: freed memory for the system, and the garbage collector during a start."""

from __future__ import annotations

import ctypes
import gc
from functools import cache
from typing import Any


def trim() -> None:
    """Return freed memory to the system if the C library keeps it, as glibc does in an arena per thread.

    Ten threads that each decoded a large image, one after the other, kept 300 to 500 MB.
    """
    if (function := _malloc_trim()) is not None:
        function(0)


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
def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None  # another C library without this function
