"""Checks of numbers in foreign files, for type and range, before they are used in computations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from loravit_web.errors import LoraVitError

MAX_DEPTH = 32
"""Maximum nesting of a JSON document."""
ANY = 10**9
"""Bound for numbers whose range is checked elsewhere."""
_SHOWN = 40


class InvalidValue(LoraVitError):
    """A value in a file with a wrong type or out of range.

    Attributes:
        problem: Phrase that names the value and the allowed ones.
    """

    def __init__(self, key: str, value: object, needed: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        self.problem = f"{key} is {shown} instead of {needed}"
        super().__init__(f"The adapter cannot be used, because {self.problem}. Export it again.")


def number(key: str, value: Any, low: float, high: float, *, above: bool = False) -> float:
    """Return a checked number as a float.

    Args:
        key: Name of the value in errors.
        value: Value to check.
        low: Smallest allowed value.
        high: Largest allowed value.
        above: Whether ``low`` itself is not allowed.

    Raises:
        InvalidValue: If the value is not a number (booleans included), is NaN, or is out of range.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or (above and value == low):
        bounds = f"above {low:g} up to {high:g}" if above else f"from {low:g} to {high:g}"
        raise InvalidValue(key, value, f"a number {bounds}")
    return float(value)


def integer(key: str, value: Any, low: int, high: int) -> int:
    """Return a checked integer.

    Args:
        key: Name of the value in errors.
        value: Value to check.
        low: Smallest allowed value.
        high: Largest allowed value.

    Raises:
        InvalidValue: If the value is not an integer (floats and booleans included), or is out of range.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidValue(key, value, f"an integer from {low} to {high}")
    return value


def numbers(key: str, values: Any, count: int, low: float, high: float) -> tuple[float, ...]:
    """Return a checked list of exactly ``count`` numbers as floats.

    Args:
        key: Name of the value in errors.
        values: Value to check.
        count: Required length.
        low: Smallest allowed number.
        high: Largest allowed number.

    Raises:
        InvalidValue: If the value is not such a list.
    """
    if not isinstance(values, list) or len(values) != count:
        raise InvalidValue(key, values, f"a list of {count} numbers")
    return tuple(number(f"{key}[{index}]", value, low, high) for index, value in enumerate(values))


def finite_document(document: Any) -> None:
    """Check that a JSON document has no NaN, no infinity and no deep nesting.

    Raises:
        InvalidValue: If a number is not finite.
        ValueError: If the document is nested deeper than `MAX_DEPTH`.
    """
    pending = [("", document, 0)]
    while pending:
        key, value, depth = pending.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidValue(key, value, "a finite number")
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        pending += [(f"{key}.{name}".strip("."), inner, depth + 1) for name, inner in _inside(value)]


def _inside(value: Any) -> Iterator[tuple[object, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
