"""JSON in one fixed form, so equal values give equal text and equal hashes."""

import json
import math
from typing import Any

from registry.errors import InvalidValue


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces; ValueError or TypeError for anything that isn't plain JSON, such as NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain_json(field: str, value: Any) -> Any:
    """A copy of `value` as it will be read back; InvalidValue, naming `field`, when it isn't plain JSON."""
    try:
        text = canonical_json(value)
        # SQLite stores UTF-8, which has no place for the lone surrogates of undecodable file names
        text.encode()
    except (TypeError, ValueError) as error:
        raise InvalidValue(field, f"it must be plain JSON with finite numbers ({error})") from error
    return json.loads(text)


def number(field: str, value: float, *, low: float = -math.inf, high: float = math.inf) -> float:
    """`value` as a float; InvalidValue, naming `field`, unless it is finite and within low..high."""
    if not is_between(value, low, high):
        raise InvalidValue(field, f"{value} is not a finite number within {low:g} to {high:g}")
    return float(value)


def is_between(value: float, low: float, high: float) -> bool:
    """Whether `value` is finite and within low..high."""
    return math.isfinite(value) and low <= value <= high
