"""Canonical JSON, in which equal values have equal texts and equal hashes."""

import json
import math
from typing import Any

from registry.errors import InvalidValue


def canonical_json(value: Any) -> str:
    """Return a value as JSON with sorted keys and without spaces.

    Raises:
        TypeError: if the value is not plain JSON.
        ValueError: if it contains NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain_json(field: str, value: Any) -> Any:
    """Return a copy of a value as it will be read back from the database.

    Args:
        field: the name of the value in an error.
        value: the value.

    Raises:
        InvalidValue: if the value is not plain JSON.
    """
    try:
        text = canonical_json(value)
        # SQLite stores UTF-8, which cannot hold the lone surrogates of undecodable file names
        text.encode()
    except (TypeError, ValueError) as error:
        problem = f"it is not plain JSON ({error}). Use texts, finite numbers, lists and mappings"
        raise InvalidValue(field, problem) from error
    return json.loads(text)


def number(field: str, value: float, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` as a float.

    Args:
        field: the name of the value in an error.
        value: the number.
        low: the smallest allowed value.
        high: the largest allowed value.

    Raises:
        InvalidValue: if the number is not finite or out of range.
    """
    if not is_between(value, low, high):
        raise InvalidValue(field, f"{value} is out of range. Use a finite number from {low:g} to {high:g}")
    return float(value)


def is_between(value: float, low: float, high: float) -> bool:
    """Return whether `value` is finite and from `low` to `high`."""
    return math.isfinite(value) and low <= value <= high
