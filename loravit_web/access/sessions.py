"""Who is signed in with a password: random tokens in memory, each good for one state of its member."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

IDLE_HOURS = 24.0
"""A session that nobody used for so long ends."""
MOST_OF_ONE, MOST = 20, 10_000
"""Sessions of one member and of all; the one that was used least recently ends first."""


@dataclass(frozen=True)
class Session:
    """One browser or program that a member signed in from.

    Attributes:
        username: the member.
        standing: `Members.standing` at the moment of signing in.
        ends_at: seconds on the store's clock, whatever happens until then.
    """

    username: str
    standing: str
    ends_at: float


class Sessions:
    """Sessions by token. Safe to use from any number of threads."""

    def __init__(
        self,
        hours: float,
        *,
        standing: Callable[[str], str | None],
        clock: Callable[[], float] = time.monotonic,
        token: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        """
        Args:
            hours: after which a session ends, used or not.
            standing: the present standing of a member; None for somebody who may not sign in.
            token: makes a text that nobody can guess.
        """
        self._seconds, self._idle = hours * 3600, min(hours, IDLE_HOURS) * 3600
        self._standing, self._clock, self._token = standing, clock, token
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, tuple[Session, float]] = OrderedDict()

    def open(self, username: str, standing: str) -> str:
        """Start a session and return its token.

        Args:
            standing: of the member before the password was checked, so that a change meanwhile ends it.
        """
        now, token = self._clock(), self._token()
        with self._lock:
            own = [key for key, (session, _) in self._sessions.items() if session.username == username]
            for key in own[: max(0, len(own) - MOST_OF_ONE + 1)]:
                del self._sessions[key]
            while len(self._sessions) >= MOST:
                self._sessions.popitem(last=False)
            self._sessions[token] = (Session(username, standing, now + self._seconds), now)
        return token

    def member(self, token: str) -> str | None:
        """Return who is signed in with a token; a session whose time or member is over ends here."""
        now = self._clock()
        with self._lock:
            found = self._sessions.get(token)
        if found is None:
            return None
        session, used_at = found
        over = now >= session.ends_at or now - used_at >= self._idle
        if over or self._standing(session.username) != session.standing:
            self.close(token)
            return None
        with self._lock:
            if token not in self._sessions:  # signed out meanwhile
                return None
            self._sessions[token] = (session, now)
            self._sessions.move_to_end(token)
        return session.username

    def close(self, token: str) -> None:
        """End one session."""
        with self._lock:
            self._sessions.pop(token, None)

    def close_all(self, username: str) -> None:
        """End every session of a member."""
        with self._lock:
            for token in [key for key, (one, _) in self._sessions.items() if one.username == username]:
                del self._sessions[token]
