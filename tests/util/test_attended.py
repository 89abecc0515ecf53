"""A long call is left as soon as somebody wants to, and otherwise behaves like any call."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from loravit_web.util.attended import Tell, attended


class Leave(Exception):
    pass


def test_it_gives_what_the_call_gives_and_tells_what_it_reports() -> None:
    told: list[tuple[float, str]] = []

    def call(report: Tell) -> int:
        report(0.5, "Half")
        assert told[-1] == (0.5, "Half")  # a report returns once it was told
        return 7

    assert attended(call, lambda *news: told.append(news), stage="Begin") == 7
    assert told == [(0.5, "Half")]


def test_an_error_of_the_call_is_raised_here() -> None:
    def call(_report: Tell) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        attended(call, lambda *_: None, stage="Begin")


def leave_at(times: int) -> tuple[Tell, list[tuple[float, str]]]:
    told: list[tuple[float, str]] = []

    def tell(fraction: float, stage: str) -> None:
        told.append((fraction, stage))
        if len(told) == times:
            raise Leave

    return tell, told


def test_a_call_that_reports_nothing_is_left_all_the_same() -> None:
    ended = threading.Event()
    tell, told = leave_at(3)
    with pytest.raises(Leave):
        attended(lambda _report: ended.wait(30), tell, stage="Loading", poll=0.001)
    assert told == [(0.0, "Loading")] * 3
    ended.set()


@pytest.mark.parametrize("leaves_in", ["its report", "between reports"])
def test_a_call_that_was_left_ends_at_its_next_report(leaves_in: str) -> None:
    ended = threading.Event()
    may_report = threading.Event()

    def call(report: Callable[[float, str], None]) -> None:
        try:
            if leaves_in == "between reports":
                may_report.wait(30)
            report(0.1, "Fetching")
        finally:
            ended.set()

    tell, _ = leave_at(1)
    with pytest.raises(Leave):
        attended(call, tell, stage="Begin", poll=0.001)
    may_report.set()
    assert ended.wait(10)
