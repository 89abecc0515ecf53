"""Work of many visitors that waits for its turn, and how much of it may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from loravit_web.errors import LoraVitError

T = TypeVar("T")

QUEUE_FULL = "The queue is full: as many questions wait here as may, so try again in a moment."
_THREADS = 32
"""At once: two batches of the engine."""


class QueueFull(LoraVitError):
    """As much waits as may."""


class Waiting:
    """Runs work in threads of its own and refuses what would be too much. For one event loop.

    Gradio counts only what goes through its queue, which costs an answer a second trip.
    """

    def __init__(self, most: int) -> None:
        """
        Args:
            most: pieces of work that may be unfinished at once.
        """
        self._free = most
        self._threads = ThreadPoolExecutor(_THREADS, "question")

    async def run(self, work: Callable[[], T]) -> T:
        """What the work returns.

        Raises:
            QueueFull: if too much is unfinished already; nothing is done then.
        """
        if not self._free:
            raise QueueFull(QUEUE_FULL)
        self._free -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._free += 1
