"""Text of users, prepared for display and storage."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_text(text: str) -> str:
    """Return a user's text as one line: NFC, single spaces, no control characters; may be empty."""
    visible = (
        " " if char.isspace() else char
        for char in unicodedata.normalize("NFC", text)
        if char.isspace() or (unicodedata.category(char) not in ("Cc", "Cs") and char not in _BIDI_CONTROLS)
    )
    return " ".join("".join(visible).split())


def duration(seconds: float) -> str:
    """Return seconds as text for people: ``45 s``, ``3 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plural(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 image``, ``3 images``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(parts: Sequence[str], most: int = 5) -> str:
    """Return parts as text for people, ``a, b and c``; of more than ``most`` parts, the first ones."""
    shown = [*parts[:most], f"{len(parts) - most} more"] if len(parts) > most else [*parts]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
