"""A random key of the data folder, by which the app recognizes what it once gave a browser."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

NAME, LENGTH = "secret.key", 32


def secret_of(home: Path) -> bytes:
    """Return the key of a data folder; the first caller makes it.

    Raises:
        OSError: if it can be neither read nor written.
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
        if key:  # a file that a full disk or a kill cut short
            draft.replace(path)
            continue
        try:
            os.link(draft, path)  # of several processes one wins, and all read its key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
