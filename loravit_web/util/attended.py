"""Long calls that can't be asked to stop, made on a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
Tell = Callable[[float, str], None]
POLL_SECONDS = 0.25
_LOG = logging.getLogger(__name__)


class _Left(Exception):
    """Nobody waits for the call any more."""


def attended(call: Callable[[Tell], T], tell: Tell, *, stage: str, poll: float = POLL_SECONDS) -> T:
    """Make a call on a thread while this one keeps telling that it lasts.

    What ``tell`` raises ends the waiting at once. The call is then left to itself: it ends at its next report
    or when it is done, and what it gives is dropped.

    Args:
        call: told where to report; a report returns once ``tell`` has.
        tell: called with each report of the call, and with the last one again while there is none.
        stage: what is told before the first report.
    """
    news: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
    told, left = threading.Semaphore(0), threading.Event()
    result: Future[T] = Future()

    def report(fraction: float, text: str) -> None:
        news.put((fraction, text))
        while not told.acquire(timeout=poll):
            if left.is_set():
                raise _Left

    def run() -> None:
        try:
            result.set_result(call(report))
        except Exception as error:  # noqa: BLE001 - raised where the result is waited for
            result.set_exception(error)
            if left.is_set() and not isinstance(error, _Left):
                _LOG.warning("A call that nobody waited for any more failed: %r", error)
        news.put(None)

    threading.Thread(target=run, name="attended", daemon=True).start()
    last: tuple[float, str] = (0.0, stage)
    try:
        while True:
            try:
                heard = news.get(timeout=poll)
            except queue.Empty:
                tell(*last)
                continue
            if heard is None:
                return result.result()
            last = heard
            tell(*heard)
            told.release()
    finally:
        left.set()
