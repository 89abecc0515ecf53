"""Uninterruptible calls: run on a helper thread while the calling thread still reports progress."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
ReportProgress = Callable[[float, str], None]
"""Receives a fraction from 0 to 1 and the current stage."""
POLL_SECONDS = 0.25
"""Seconds between two reports."""
_LOG = logging.getLogger(__name__)


class _CallerLeft(Exception):
    """The caller no longer waits for the call."""


def run_with_progress(
    call: Callable[[ReportProgress], T],
    report_progress: ReportProgress,
    *,
    stage: str,
    poll: float = POLL_SECONDS,
) -> T:
    """Run an uninterruptible call on a helper thread while still reporting progress.

    If ``report_progress`` raises an error, waiting ends at once. The call then ends at its next report or
    when it is done, and its result is dropped.

    Args:
        call: The call; its argument is a function that reports progress and returns once it was received.
        report_progress: Called with each report, and repeatedly with the last one until there is a new one.
        stage: Stage before the first report.
        poll: Seconds between two reports.

    Returns:
        The result of the call.
    """
    reports: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
    received, left = threading.Semaphore(0), threading.Event()
    result: Future[T] = Future()

    def report(fraction: float, text: str) -> None:
        reports.put((fraction, text))
        while not received.acquire(timeout=poll):
            if left.is_set():
                raise _CallerLeft

    def run() -> None:
        try:
            result.set_result(call(report))
        except Exception as error:  # noqa: BLE001 - raised in the waiting thread
            result.set_exception(error)
            if left.is_set() and not isinstance(error, _CallerLeft):
                _LOG.warning("A call whose result was no longer needed failed: %r", error)
        reports.put(None)

    threading.Thread(target=run, name="uninterruptible", daemon=True).start()
    last: tuple[float, str] = (0.0, stage)
    try:
        while True:
            try:
                update = reports.get(timeout=poll)
            except queue.Empty:
                report_progress(*last)
                continue
            if update is None:
                return result.result()
            last = update
            report_progress(*update)
            received.release()
    finally:
        left.set()
