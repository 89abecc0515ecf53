"""Confidence intervals of measured fractions, and a test of their difference."""

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


def sign_test(first: int, second: int) -> float:
    """Return the p-value of the exact two-sided sign test; 1 without trials.

    Args:
        first: Number of trials that only the first of two methods wins.
        second: Number of trials that only the second one wins.
    """
    n, least = first + second, min(first, second)
    tail = sum(math.comb(n, k) for k in range(least + 1))
    return min(1.0, 2 * tail / (1 << n))
