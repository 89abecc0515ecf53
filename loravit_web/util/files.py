"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and move it into place.

    Raises:
        OSError: if it can't be written; then nothing is left of it.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
