"""Uncertainty of counted fractions."""

from __future__ import annotations

import pytest

from loravit_web.util.intervals import sign_test, wilson


def test_the_interval_of_a_fraction_stays_within_0_and_1() -> None:
    assert wilson(14, 14) == (pytest.approx(0.785, abs=1e-3), 1.0)
    assert wilson(0, 14) == (0.0, pytest.approx(0.215, abs=1e-3))
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_sign_test_of_a_few_images_decides_nothing_and_of_many_it_does() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 1) == pytest.approx(0.625)
    assert sign_test(1, 3) == sign_test(3, 1)
    assert sign_test(20, 2) < 0.001
