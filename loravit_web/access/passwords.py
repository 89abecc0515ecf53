"""Passwords, stored as salted scrypt hashes (RFC 7914) with their parameters."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from loravit_web.errors import LoraVitError

COST, BLOCK, PARALLEL = 2**15, 8, 3
"""Parameters of scrypt: 32 MiB and about 0.3 s of one core per check."""
MIN_LENGTH, MAX_LENGTH = 10, 256
"""Minimum and maximum number of characters of a password."""
_SALT_BYTES = 16


class UnusablePassword(LoraVitError):
    """A password that is too short or too long."""


def hashed(password: str, *, random_bytes: Callable[[int], bytes]) -> str:
    """Return the hash of a password as ``scrypt$cost$block$parallel$salt$key``.

    Args:
        password: The password.
        random_bytes: Returns random bytes for the salt.

    Raises:
        UnusablePassword: If the password does not have `MIN_LENGTH` to `MAX_LENGTH` characters.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise UnusablePassword(
            f"The password has {len(password)} characters. Choose one with {MIN_LENGTH} to {MAX_LENGTH}."
        )
    salt = random_bytes(_SALT_BYTES)
    key = _key(password, salt, COST, BLOCK, PARALLEL)
    return f"scrypt${COST}${BLOCK}${PARALLEL}${_text(salt)}${_text(key)}"


def matches(password: str, stored: str | None) -> bool:
    """Return whether a password has a hash. Without a hash it returns False after the same time."""
    if len(password) > MAX_LENGTH:
        return False
    if stored is None:
        _key(password, b"nobody", COST, BLOCK, PARALLEL)
        return False
    _scheme, cost, block, parallel, salt, key = stored.split("$")
    found = _key(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, base64.b64decode(key))


def _key(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    memory = 2 * 128 * cost * block + 128 * block * parallel
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
