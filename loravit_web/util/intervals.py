"""Confidence intervals of measured fractions."""

from __future__ import annotations

import math

_NORMAL_95 = 1.96


def interval_95(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a fraction, after Wilson (1927).

    Args:
        count: Number of hits.
        total: Number of trials.

    Returns:
        Lowest and highest fraction; (0, 1) without trials.
    """
    if not total:
        return 0.0, 1.0
    square = _NORMAL_95**2
    middle = (count + square / 2) / (total + square)
    half = _NORMAL_95 / (total + square) * math.sqrt(count * (total - count) / total + square / 4)
    return max(0.0, middle - half), min(1.0, middle + half)
