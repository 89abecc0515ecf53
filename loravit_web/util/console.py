"""Progress on a terminal's stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TextIO

_STEP = 0.25


def progress_teller(stream: TextIO | None = None) -> Callable[[float, str], None]:
    """A function that shows a fraction of 0 to 1 and what is being done.

    On a terminal it rewrites one line; elsewhere, such as in a log, it writes a line when the kind of
    work changes or another quarter of it is done.

    Args:
        stream: stderr when None.
    """
    kind, written = "", -1.0

    def tell(fraction: float, stage: str) -> None:
        nonlocal kind, written
        out = stream or sys.stderr
        if out.isatty():
            out.write(f"\r\x1b[K{fraction:4.0%} {stage}" + ("\n" if fraction >= 1 else ""))
            out.flush()
            return
        this_kind = re.sub(r"\d+", "", stage)
        if this_kind != kind or fraction >= written + _STEP or (fraction >= 1 > written):
            kind, written = this_kind, fraction
            out.write(f"{fraction:4.0%} {stage}\n")
            out.flush()

    return tell
