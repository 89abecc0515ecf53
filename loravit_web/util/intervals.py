"""Confidence intervals of fractions."""

from __future__ import annotations

import math

_NORMAL_95 = 1.96
"""Quantile of the normal distribution for a two-sided interval of 95 %."""


def confidence_interval(found: int, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a fraction, after Wilson (1927).

    Args:
        found: Number of cases that count.
        n: Number of all cases; without any, the interval is (0, 1).
    """
    if not n:
        return 0.0, 1.0
    fraction, z2 = found / n, _NORMAL_95**2
    center = (fraction + z2 / (2 * n)) / (1 + z2 / n)
    half = _NORMAL_95 / (1 + z2 / n) * math.sqrt(fraction * (1 - fraction) / n + z2 / (4 * n * n))
    return max(0.0, center - half), min(1.0, center + half)
