"""Detection of closed pages, by the streams over which pages receive their events."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

GRACE_SECONDS = 2.0
"""Seconds after the end of a page's stream until the page counts as closed; it may open another stream."""
_MOST = 10_000
"""Maximum number of sessions that are remembered."""


@dataclass
class _Seen:
    """Streams of a session.

    Attributes:
        open: Number of open streams.
        quiet_since: Time at which the last stream ended, or of a later request.
    """

    open: int
    quiet_since: float


class Presence:
    """Registry of the open pages. Safe to use from several threads.

    Work for a page calls the function from `watch` at intervals and ends when its page was closed. Gradio
    itself does not stop a plain function.

    Args:
        clock: Returns the current time in seconds.
        grace: Seconds after the end of a stream until its page counts as closed.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, grace: float = GRACE_SECONDS) -> None:
        self._clock, self._grace = clock, grace
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, _Seen] = OrderedDict()

    @contextmanager
    def listening(self, session: str) -> Iterator[None]:
        """Return a context that is held while a stream of a session is open."""
        with self._lock:
            self._seen(session).open += 1
        try:
            yield
        finally:
            with self._lock:
                seen = self._seen(session)
                seen.open = max(0, seen.open - 1)
                seen.quiet_since = self._clock()

    def watch(self, session: str | None) -> Callable[[], bool]:
        """Return a function that returns whether the page of a session was closed.

        Args:
            session: ID of the session, or None for work without a page, which never counts as closed.
        """
        if session is None:
            return lambda: False
        with self._lock:
            # a page sends its request before it opens the stream for the reply
            self._seen(session).quiet_since = self._clock()

        def is_cancelled() -> bool:
            with self._lock:
                seen = self._sessions.get(session)
                return seen is None or (not seen.open and self._clock() - seen.quiet_since > self._grace)

        return is_cancelled

    def _seen(self, session: str) -> _Seen:
        """Return the streams of a session. The caller holds the lock."""
        seen = self._sessions.setdefault(session, _Seen(0, self._clock()))
        self._sessions.move_to_end(session)
        if len(self._sessions) > _MOST:
            self._sessions.popitem(last=False)
        return seen
