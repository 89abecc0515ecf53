"""Progress on a terminal's stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TextIO

_STEP = 0.25


def progress_printer(stream: TextIO | None = None) -> Callable[[float, str], None]:
    """Return a function that prints a fraction from 0 to 1 and the current stage.

    On a terminal it rewrites a line. Elsewhere, such as in a log, it writes a line when the stage changes or
    another quarter is done.

    Args:
        stream: Stream to write to, or None for stderr.
    """
    last_stage, written = "", -1.0

    def show(fraction: float, stage: str) -> None:
        nonlocal last_stage, written
        out = stream or sys.stderr
        if out.isatty():
            out.write(f"\r\x1b[K{fraction:4.0%} {stage}" + ("\n" if fraction >= 1 else ""))
            out.flush()
            return
        stage_kind = re.sub(r"\d+", "", stage)
        if stage_kind != last_stage or fraction >= written + _STEP or (fraction >= 1 > written):
            last_stage, written = stage_kind, fraction
            out.write(f"{fraction:4.0%} {stage}\n")
            out.flush()

    return show
