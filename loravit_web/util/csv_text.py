"""Text of strangers in a CSV: one cell stays one cell, one line stays one line, and nothing is computed."""

from __future__ import annotations

import unicodedata

_FORMULA = frozenset("=+-@＝＋－＠﹦﹢﹣﹫")
"""What a spreadsheet takes for the beginning of a formula, in any width."""

_IN_FRONT = " '\"\u00a0\u3000\ufeff"
"""What a spreadsheet drops or ignores in front of it."""

_QUOTE = "'"
_LEFT_OUT = frozenset({"Cc", "Cf", "Cs"})
_JOINERS = frozenset("\u200c\u200d")
_BREAKS = frozenset({"Zl", "Zp"})


def csv_cell(text: str) -> str:
    """Text that every reader of a CSV keeps in its cell and shows as it stands.

    Line breaks of all kinds and tabs become spaces; control characters, and those that turn the direction of
    text around, are left out. What would be a formula gets an apostrophe in front, behind a semicolon too,
    which separates cells in many countries.
    """
    return ";".join(map(_harmless, "".join(map(_shown, text)).split(";")))


def _harmless(text: str) -> str:
    begins = text.lstrip(_IN_FRONT)
    return _QUOTE + text if begins and begins[0] in _FORMULA else text


def _shown(char: str) -> str:
    kind = unicodedata.category(char)
    if kind in _BREAKS or (kind == "Cc" and char.isspace()):
        return " "
    return "" if kind in _LEFT_OUT and char not in _JOINERS else char
