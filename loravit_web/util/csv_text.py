"""Foreign text in a CSV: a cell stays a cell, a line stays a line, and nothing is a formula."""

from __future__ import annotations

import unicodedata

_FORMULA = frozenset("=+-@＝＋－＠﹦﹢﹣﹫")
"""Characters that start a formula in a spreadsheet, in any width."""

_IN_FRONT = " '\"\u00a0\u3000\ufeff"
"""Characters that a spreadsheet ignores before a formula."""

_QUOTE = "'"
_LEFT_OUT = frozenset({"Cc", "Cf", "Cs"})
_JOINERS = frozenset("\u200c\u200d")
_BREAKS = frozenset({"Zl", "Zp"})


def csv_cell(text: str) -> str:
    """Return text that every reader of a CSV keeps in its cell and shows literally.

    Line breaks and tabs become spaces. Control characters and bidirectional controls are removed. Text that
    would be a formula gets a leading apostrophe, also after a semicolon, which separates cells in many
    countries.
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
