"""``python -m loravit_web``."""

from __future__ import annotations

import sys

from loravit_web.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
