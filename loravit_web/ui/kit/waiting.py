"""Limit on unfinished requests that bypass Gradio's queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from loravit_web.errors import LoraVitError
from loravit_web.ui.language.texts import _, gettext_noop

T = TypeVar("T")

QUEUE_FULL = gettext_noop("The server is busy. Please try again in a moment.")
_THREADS = 32
"""Number of threads, for two batches of the engine."""


class QueueFull(LoraVitError):
    """A request that would exceed the limit."""


class Waiting:
    """Runs requests in separate threads and refuses those beyond the limit. For use in one event loop.

    Gradio limits only requests in its queue, which needs a second round trip per answer.

    Args:
        most: Maximum number of unfinished requests.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._threads = ThreadPoolExecutor(_THREADS, "question")

    async def run(self, work: Callable[[], T]) -> T:
        """Run a function in a thread and return its result.

        Raises:
            QueueFull: If the limit is reached. The function is not called.
        """
        if not self._free:
            raise QueueFull(_(QUEUE_FULL))
        self._free -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._free += 1
