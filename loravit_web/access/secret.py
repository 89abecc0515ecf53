"""Random key of the data folder, with which the app signs what it gives to browsers."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

NAME, LENGTH = "secret.key", 32
"""File name of the key, and its length in bytes."""


def secret_of(home: Path) -> bytes:
    """Return the key of a data folder, created by the first caller.

    Raises:
        OSError: If the key can neither be read nor written.
    """
    path = home / NAME
    while True:
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            key = b""
        if len(key) == LENGTH:
            return key
        draft = path.with_name(f".{NAME}-{secrets.token_hex(8)}")
        draft.touch(0o600)
        draft.write_bytes(secrets.token_bytes(LENGTH))
        if key:  # a file that was truncated by a full disk or a killed process
            draft.replace(path)
            continue
        try:
            os.link(draft, path)  # the first of several processes wins, and all read its key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
