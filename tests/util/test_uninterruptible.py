"""A long call can be left at any time, and otherwise behaves like a plain call."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from loravit_web.util.uninterruptible import ReportProgress, run_with_progress


class Leave(Exception):
    pass


def test_the_result_and_the_reports_of_the_call_are_passed_on() -> None:
    reported: list[tuple[float, str]] = []

    def call(report: ReportProgress) -> int:
        report(0.5, "Half")
        assert reported[-1] == (0.5, "Half")  # a report returns once it was received
        return 7

    assert run_with_progress(call, lambda *news: reported.append(news), stage="Begin") == 7
    assert reported == [(0.5, "Half")]


def test_an_error_of_the_call_is_raised_in_the_calling_thread() -> None:
    def call(_report: ReportProgress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_with_progress(call, lambda *_: None, stage="Begin")


def leave_at(times: int) -> tuple[ReportProgress, list[tuple[float, str]]]:
    reported: list[tuple[float, str]] = []

    def report_progress(fraction: float, stage: str) -> None:
        reported.append((fraction, stage))
        if len(reported) == times:
            raise Leave

    return report_progress, reported


def test_a_call_without_reports_can_be_left() -> None:
    ended = threading.Event()
    report_progress, reported = leave_at(3)
    with pytest.raises(Leave):
        run_with_progress(lambda _report: ended.wait(30), report_progress, stage="Loading", poll=0.001)
    assert reported == [(0.0, "Loading")] * 3
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

    report_progress, _ = leave_at(1)
    with pytest.raises(Leave):
        run_with_progress(call, report_progress, stage="Begin", poll=0.001)
    may_report.set()
    assert ended.wait(10)
