"""Counting never waits, and no count is lost that can still be written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from loravit_web.serving.usage import UsageCounter
from registry import DatabaseNotWritable, UsageCount

NINE = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)


class Ledger:
    """Records the written counts, or fails."""

    def __init__(self) -> None:
        self.written: list[UsageCount] = []
        self.fails = False
        self.arrived = threading.Event()

    def __call__(self, counts: Sequence[UsageCount]) -> None:
        if self.fails:
            raise DatabaseNotWritable("disk full")
        self.written += counts
        self.arrived.set()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_answers_add_up_by_version_and_hour(ledger: Ledger) -> None:
    now = NINE + timedelta(minutes=30)
    counter = UsageCounter(ledger, clock=lambda: now)
    counter.count(1, 4.0)
    counter.count(1, 6.0)
    counter.count(1, None)
    counter.count(2, 3.0)
    now += timedelta(hours=1)
    counter.count(1, 1.0)
    counter.flush()
    assert ledger.written == [
        UsageCount(1, NINE, 3, 1, 10.0, 6.0),
        UsageCount(2, NINE, 1, 0, 3.0, 3.0),
        UsageCount(1, NINE + timedelta(hours=1), 1, 0, 1.0, 1.0),
    ]


def test_counts_are_written_once(ledger: Ledger) -> None:
    counter = UsageCounter(ledger, clock=lambda: NINE)
    counter.count(1, 4.0)
    counter.flush()
    counter.flush()
    counter.close()
    assert [one.n for one in ledger.written] == [1]


def test_a_failed_write_keeps_the_counts_and_is_logged_once(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    counter = UsageCounter(ledger, clock=lambda: NINE)
    ledger.fails = True
    for milliseconds in (1.0, 2.0, 3.0):
        counter.count(1, milliseconds)
        counter.flush()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    ledger.fails = False
    counter.count(1, None)
    counter.flush()
    assert ledger.written == [UsageCount(1, NINE, 4, 1, 6.0, 3.0)]
    ledger.fails = True
    counter.count(1, 1.0)
    counter.flush()
    assert len(caplog.records) == 2


def test_counts_are_written_in_the_background(ledger: Ledger) -> None:
    counter = UsageCounter(ledger, clock=lambda: NINE, interval_seconds=0.01)
    counter.start()
    counter.count(1, 4.0)
    assert ledger.arrived.wait(10)
    counter.close()
    assert sum(one.n for one in ledger.written) == 1


def test_closing_writes_a_last_time_and_ends_the_thread(ledger: Ledger) -> None:
    counter = UsageCounter(ledger, clock=lambda: NINE)
    counter.start()
    counter.count(1, 4.0)
    counter.close()
    assert [one.n for one in ledger.written] == [1]
    assert "usage" not in {thread.name for thread in threading.enumerate()}


def test_many_threads_lose_no_count(ledger: Ledger) -> None:
    counter = UsageCounter(ledger, clock=lambda: NINE, interval_seconds=0.001)
    counter.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: counter.count(number % 3, 1.0), range(3000)))
    counter.close()
    assert sum(one.n for one in ledger.written) == 3000
