"""How sure a measured fraction is."""

from __future__ import annotations

import pytest

from loravit_web.util.intervals import interval_95, sign_test


@pytest.mark.parametrize(
    ("count", "total", "low", "high"), [(14, 14, 0.785, 1.0), (0, 14, 0.0, 0.215), (50, 100, 0.404, 0.596)]
)
def test_the_interval_of_a_fraction_is_wilsons(count: int, total: int, low: float, high: float) -> None:
    assert interval_95(count, total) == pytest.approx((low, high), abs=1e-3)


def test_nothing_is_known_without_trials() -> None:
    assert interval_95(0, 0) == (0.0, 1.0)


def test_a_sign_test_of_a_few_images_decides_nothing_and_of_many_it_does() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 1) == pytest.approx(0.625)
    assert sign_test(1, 3) == sign_test(3, 1)
    assert sign_test(20, 2) < 0.001
