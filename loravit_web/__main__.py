"""``python -m loravit_web``."""

from __future__ import annotations

import os
import sys

from loravit_web.util.openmp import share_cores


def run() -> int:
    """Run the command that the words name; returns the exit status."""
    share_cores(os.environ)
    from loravit_web.cli.main import main

    try:
        return main(sys.argv[1:])
    except BrokenPipeError:  # whoever read the output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(run())
