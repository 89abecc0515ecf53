"""The highest of a value that changes, sampled in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

N = TypeVar("N", int, float)


@contextmanager
def highest(value: Callable[[], N], *, every: float) -> Iterator[Callable[[], N]]:
    """Provide a function that returns the highest value so far.

    Args:
        value: Returns the present value.
        every: Seconds between two samples.
    """
    ended, most = threading.Event(), [value()]

    def sample() -> None:
        while not ended.wait(every):
            most[0] = max(most[0], value())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        ended.set()
        thread.join()
