"""Sessions of people who signed in with a password: random tokens in memory."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

IDLE_HOURS = 24.0
"""Hours without use after which a session ends."""
MAX_PER_MEMBER, MAX_SESSIONS = 20, 10_000
"""Maximum number of sessions of one member and of all; the least recently used one ends first."""


@dataclass(frozen=True)
class Session:
    """A browser or program from which a member signed in.

    Attributes:
        username: Name of the member.
        security_stamp: `Members.security_stamp` at the time of signing in.
        ends_at: Time of the store's clock at which the session ends in any case.
    """

    username: str
    security_stamp: str
    ends_at: float


class Sessions:
    """Sessions by token. Thread-safe.

    Args:
        hours: Hours after which a session ends in any case.
        security_stamp: Returns the current stamp of a member, or None if the name may not sign in.
        clock: Returns the time in seconds.
        token: Returns a text that cannot be guessed.
    """

    def __init__(
        self,
        hours: float,
        *,
        security_stamp: Callable[[str], str | None],
        clock: Callable[[], float] = time.monotonic,
        token: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self._seconds, self._idle = hours * 3600, min(hours, IDLE_HOURS) * 3600
        self._security_stamp, self._clock, self._token = security_stamp, clock, token
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, tuple[Session, float]] = OrderedDict()

    def open(self, username: str, security_stamp: str) -> str:
        """Start a session and return its token.

        Args:
            username: Name of the member.
            security_stamp: Stamp of the member before the password was checked, so that a change meanwhile
                ends the session.
        """
        now, token = self._clock(), self._token()
        with self._lock:
            own = [key for key, (session, _) in self._sessions.items() if session.username == username]
            for key in own[: max(0, len(own) - MAX_PER_MEMBER + 1)]:
                del self._sessions[key]
            while len(self._sessions) >= MAX_SESSIONS:
                self._sessions.popitem(last=False)
            self._sessions[token] = (Session(username, security_stamp, now + self._seconds), now)
        return token

    def member(self, token: str) -> str | None:
        """Return the name of the member of a session, or None if the session ended."""
        now = self._clock()
        with self._lock:
            found = self._sessions.get(token)
        if found is None:
            return None
        session, used_at = found
        over = now >= session.ends_at or now - used_at >= self._idle
        if over or self._security_stamp(session.username) != session.security_stamp:
            self.close(token)
            return None
        with self._lock:
            if token not in self._sessions:  # the member signed out meanwhile
                return None
            self._sessions[token] = (session, now)
            self._sessions.move_to_end(token)
        return session.username

    def close(self, token: str) -> None:
        """End one session."""
        with self._lock:
            self._sessions.pop(token, None)

    def close_all(self, username: str) -> None:
        """End all sessions of a member."""
        with self._lock:
            own = [token for token, (session, _) in self._sessions.items() if session.username == username]
            for token in own:
                del self._sessions[token]
