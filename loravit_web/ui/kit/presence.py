"""Which pages are still there, told by the streams over which they hear their events."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

GRACE_SECONDS = 2.0
"""Between the end of a page's stream and the moment from which it counts as gone: it may open another one."""
_MOST = 10_000


@dataclass
class _Seen:
    """What is known of a session's streams.

    Attributes:
        open: how many there are now.
        quiet_since: when the last one ended, or when somebody first asked for a session without any.
    """

    open: int
    quiet_since: float


class Presence:
    """The sessions whose pages listen. Safe to use from any number of threads.

    Work for a page is asked `watch` now and then and ends when its page is gone: Gradio itself lets a plain
    function go on to its end.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, grace: float = GRACE_SECONDS) -> None:
        self._clock, self._grace = clock, grace
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, _Seen] = OrderedDict()

    @contextmanager
    def listening(self, session: str) -> Iterator[None]:
        """Hold while a stream of a session is open."""
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
        """Return a function that tells whether a session's page is gone.

        Args:
            session: None for work that nobody waits for at a stream; it is never gone.
        """
        if session is None:
            return lambda: False
        with self._lock:
            self._seen(session)

        def is_cancelled() -> bool:
            with self._lock:
                seen = self._sessions.get(session)
                return seen is None or (not seen.open and self._clock() - seen.quiet_since > self._grace)

        return is_cancelled

    def _seen(self, session: str) -> _Seen:
        """Return what is known of a session. The caller holds the lock."""
        seen = self._sessions.setdefault(session, _Seen(0, self._clock()))
        self._sessions.move_to_end(session)
        if len(self._sessions) > _MOST:
            self._sessions.popitem(last=False)
        return seen
