"""Uncertainty of counted fractions."""

from __future__ import annotations

import math

_NORMAL_95 = 1.96
"""Quantile of the normal distribution for a two-sided interval of 95 %."""


def wilson(correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a fraction, after Wilson (1927); (0, 1) without trials.

    Args:
        correct: Number of successes.
        n: Number of trials.
    """
    if not n:
        return 0.0, 1.0
    fraction, z2 = correct / n, _NORMAL_95**2
    center = (fraction + z2 / (2 * n)) / (1 + z2 / n)
    half = _NORMAL_95 / (1 + z2 / n) * math.sqrt(fraction * (1 - fraction) / n + z2 / (4 * n * n))
    return max(0.0, center - half), min(1.0, center + half)


def sign_test(first: int, second: int) -> float:
    """Return the p-value of the exact two-sided sign test; 1 without trials.

    Args:
        first: Number of trials that only the first of two methods wins.
        second: Number of trials that only the second one wins.
    """
    n, least = first + second, min(first, second)
    tail = sum(math.comb(n, k) for k in range(least + 1))
    return min(1.0, 2 * tail / (1 << n))
