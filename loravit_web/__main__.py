"""The ``loravit`` command, also run as ``python -m loravit_web``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from loravit_web.util.heap import keep_freed_memory
from loravit_web.util.openmp import share_cores

PROGRAM = "loravit"


def run() -> int:
    """Run the command that the words of this process name, and return its exit code."""
    share_cores(os.environ)  # before torch is imported
    keep_freed_memory(os.environ)
    from loravit_web.cli.main import main

    program = PROGRAM if Path(sys.argv[0]).stem == PROGRAM else "python -m loravit_web"
    return main(sys.argv[1:], program)


if __name__ == "__main__":
    sys.exit(run())
