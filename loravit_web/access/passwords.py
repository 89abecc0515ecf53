"""Passwords, kept as salted scrypt hashes (RFC 7914) that say themselves how they were made."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from loravit_web.errors import LoraVitError

COST, BLOCK, PARALLEL = 2**15, 8, 3
"""32 MiB and about 0.3 s of one core for each try."""
SHORTEST, LONGEST = 10, 256
_SALT_BYTES = 16


class UnusablePassword(LoraVitError):
    """A password that is too short or too long to be kept."""


def hashed(password: str, *, random_bytes: Callable[[int], bytes]) -> str:
    """``scrypt$cost$block$parallel$salt$key`` of a password.

    Raises:
        UnusablePassword: if it is shorter than `SHORTEST` or longer than `LONGEST` characters.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise UnusablePassword(
            f"The password has {len(password)} characters: choose one of {SHORTEST} to {LONGEST}."
        )
    salt = random_bytes(_SALT_BYTES)
    key = _key(password, salt, COST, BLOCK, PARALLEL)
    return f"scrypt${COST}${BLOCK}${PARALLEL}${_text(salt)}${_text(key)}"


def matches(password: str, stored: str | None) -> bool:
    """Whether a password is the one that was hashed; without a hash it never is, and it takes as long."""
    if len(password) > LONGEST:
        return False
    if stored is None:
        _key(password, b"nobody", COST, BLOCK, PARALLEL)
        return False
    _scheme, cost, block, parallel, salt, key = stored.split("$")
    found = _key(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, base64.b64decode(key))


def _key(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    room = 2 * 128 * cost * block + 128 * block * parallel
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=room, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
