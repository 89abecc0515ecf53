"""A visitor can make a limited number of requests in any window, independently of other visitors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from loravit_web.access.rates import RateLimit, TooManyRequests


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused(rates: RateLimit, visitor: str) -> bool:
    try:
        rates.admit(visitor)
    except TooManyRequests:
        return True
    return False


def test_a_request_above_the_limit_is_rejected_with_the_time_to_wait(clock: Clock) -> None:
    rates = RateLimit(3, clock=clock)
    for clock.now in (0.0, 10.0, 20.0):
        rates.admit("ann")
    clock.now = 30.5
    with pytest.raises(
        TooManyRequests, match=r"3 requests within 60 seconds.*Wait 30 seconds and try again\.$"
    ):
        rates.admit("ann")


def test_the_window_slides(clock: Clock) -> None:
    rates = RateLimit(2, clock=clock)
    for clock.now in (0.0, 59.0):
        rates.admit("ann")
    clock.now = 60.0
    rates.admit("ann")
    clock.now = 61.0
    assert refused(rates, "ann")
    clock.now = 119.0
    assert not refused(rates, "ann")


def test_visitors_do_not_share_a_limit(clock: Clock) -> None:
    rates = RateLimit(1, clock=clock)
    rates.admit("ann")
    rates.admit("ben")
    assert refused(rates, "ann")


def test_rejected_requests_do_not_count(clock: Clock) -> None:
    rates = RateLimit(1, clock=clock)
    rates.admit("ann")
    for clock.now in range(1, 60):
        assert refused(rates, "ann")
    clock.now = 60.0
    rates.admit("ann")


def test_the_least_recently_active_visitor_is_forgotten_first(clock: Clock) -> None:
    rates = RateLimit(1, clock=clock, visitors=2)
    for visitor in ("ann", "ben", "cem"):
        rates.admit(visitor)
    assert [refused(rates, visitor) for visitor in ("ben", "cem")] == [True, True]
    assert not refused(rates, "ann")


def test_concurrent_requests_keep_to_the_limit(clock: Clock) -> None:
    rates = RateLimit(50, clock=clock)
    with ThreadPoolExecutor(8) as pool:
        assert sum(not no for no in pool.map(lambda _: refused(rates, "ann"), range(400))) == 50
