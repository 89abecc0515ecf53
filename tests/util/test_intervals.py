"""How sure a measured fraction is."""

from __future__ import annotations

import pytest

from loravit_web.util.intervals import interval_95


@pytest.mark.parametrize(
    ("count", "total", "low", "high"), [(14, 14, 0.785, 1.0), (0, 14, 0.0, 0.215), (50, 100, 0.404, 0.596)]
)
def test_the_interval_of_a_fraction_is_wilsons(count: int, total: int, low: float, high: float) -> None:
    assert interval_95(count, total) == pytest.approx((low, high), abs=1e-3)


def test_nothing_is_known_without_trials() -> None:
    assert interval_95(0, 0) == (0.0, 1.0)
