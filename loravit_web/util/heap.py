"""Freed memory that the C library keeps, returned to the system."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def trim() -> None:
    """Return freed memory to the system if the C library keeps it, as glibc does in an arena per thread.

    Ten threads that each decoded a large image, one after the other, kept 300 to 500 MB.
    """
    if (function := _malloc_trim()) is not None:
        function(0)


@cache
def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None  # another C library without this function
