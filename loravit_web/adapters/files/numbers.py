"""Numbers of foreign files, checked for kind and range before anything is computed with them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from loravit_web.errors import LoraVitError

MAX_DEPTH = 32
ANY = 10**9
"""A bound for numbers whose range is checked elsewhere, where more is known."""
_SHOWN = 40


class UnusableNumber(LoraVitError):
    """A value in a file that is no number, or one that nothing can be computed with."""

    def __init__(self, key: str, value: object, needed: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        self.problem = f"{key} is {shown}, and {needed} is needed"
        super().__init__(f"The adapter can't be used: its {self.problem}.")


def number(key: str, value: Any, low: float, high: float, *, above: bool = False) -> float:
    """Return a number as a float.

    Args:
        key: what to call it in an error.
        above: refuse ``low`` itself.

    Raises:
        UnusableNumber: for a truth value, a text, NaN, infinity and anything outside the range.
    """
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    if not kind or not low <= value <= high or (above and value == low):
        bounds = f"above {low:g} up to {high:g}" if above else f"from {low:g} to {high:g}"
        raise UnusableNumber(key, value, f"a number {bounds}")
    return float(value)


def whole(key: str, value: Any, low: int, high: int) -> int:
    """Return a whole number.

    Raises:
        UnusableNumber: also for a float, whatever its value.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UnusableNumber(key, value, f"a whole number from {low} to {high}")
    return value


def numbers(key: str, values: Any, count: int, low: float, high: float) -> tuple[float, ...]:
    """Return a list of exactly ``count`` numbers.

    Raises:
        UnusableNumber: if it is no such list.
    """
    if not isinstance(values, list) or len(values) != count:
        raise UnusableNumber(key, values, f"a list of {count} numbers")
    return tuple(number(f"{key}[{index}]", value, low, high) for index, value in enumerate(values))


def finite_document(document: Any) -> None:
    """Check a JSON document: NaN, infinity and deep nesting are no part of JSON that is meant to be read.

    Raises:
        UnusableNumber: with where it is.
        ValueError: if it is nested deeper than `MAX_DEPTH`.
    """
    waiting = [("", document, 0)]
    while waiting:
        key, value, depth = waiting.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise UnusableNumber(key, value, "a finite number")
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        waiting += [(f"{key}.{name}".strip("."), inner, depth + 1) for name, inner in _inside(value)]


def _inside(value: Any) -> Iterator[tuple[object, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
