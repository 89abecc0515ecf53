"""Password checks that resist guessing: members with the right password neither wait nor are rejected.

A check takes about 0.3 s of a core on purpose, so a flood of guesses could occupy all cores. Checks run on
threads of their own, and those from addresses with many failures wait behind the others and have a smaller
budget. No limit belongs to a name alone, because that would let anyone lock a member out.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from loravit_web.access.members import Members
from loravit_web.access.passwords import MAX_LENGTH
from loravit_web.access.rates import RateLimit, TooManyRequests

THREADS = 2
"""Number of threads that check passwords."""
FAILURES, FAILURE_SECONDS = 5, 600.0
"""Number of failures after which an address is suspect, and seconds for which failures count."""
PER_MINUTE_TRUSTED, PER_MINUTE_SUSPECT, PER_MINUTE_SUSPECTS = 120, 240, 300
"""Checks per minute: of all addresses without many failures, of one with many, and of all with many."""
MAX_WAITING = 64
"""Maximum number of waiting checks."""
MAX_NAME = 64
"""Maximum number of characters of a name."""
_TRUSTED, _SUSPECT = 0, 1
_ALL = ""
_FIRST_GUESS_SECONDS = 0.3


class SignInDesk:
    """Checks names and passwords for one event loop.

    Args:
        members: Members who may sign in.
        clock: Returns the time in seconds.
    """

    def __init__(self, members: Members, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._members, self._clock = members, clock
        self._threads = ThreadPoolExecutor(THREADS, "password")
        self._free = THREADS
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._failures = RateLimit(FAILURES, seconds=FAILURE_SECONDS, clock=clock)
        self._trusted = RateLimit(PER_MINUTE_TRUSTED, clock=clock)
        self._suspect = RateLimit(PER_MINUTE_SUSPECT, clock=clock)
        self._suspects = RateLimit(PER_MINUTE_SUSPECTS, clock=clock)
        self._usual_seconds = _FIRST_GUESS_SECONDS

    async def security_stamp(self, username: str, password: str, source: str, *, known: bool) -> str | None:
        """Return the stamp for a new session, or None if name or password is wrong.

        Args:
            username: Name as entered; no member has a name longer than `MAX_NAME`.
            password: Password as entered.
            source: Key of the subscriber; see `addresses.source_of`.
            known: Whether this browser signed in with the name before, which a guesser did not.

        Raises:
            TooManyRequests: If there are too many checks of this address or, with many failures, of all such
                addresses.
        """
        suspect = not known and self._failures.is_reached(source)
        if suspect:
            self._suspect.admit(source)
            self._suspects.admit(_ALL)
        elif not known:
            self._trusted.admit(_ALL)
        security_stamp = await self._checked(username, password, _SUSPECT if suspect else _TRUSTED)
        if security_stamp is None:
            self._failures.record(source)
        return security_stamp

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(cancel_futures=True)

    async def _checked(self, username: str, password: str, lane: int) -> str | None:
        if len(username) > MAX_NAME or len(password) > MAX_LENGTH:
            return None
        # Read first, so that a password change during the check ends the session at once.
        security_stamp = await asyncio.to_thread(self._members.security_stamp, username)
        if security_stamp is None:  # takes as long as a check, so that the time does not reveal members
            await asyncio.sleep(self._usual_seconds)
            return None
        started = self._clock()
        async with self._turn(lane):
            right = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._members.is_password, username, password
            )
        self._usual_seconds += (self._clock() - started - self._usual_seconds) / 4
        return security_stamp if right else None

    @asynccontextmanager
    async def _turn(self, lane: int) -> AsyncIterator[None]:
        """Wait until a thread is free, trusted addresses first, each lane in order."""
        if self._free:
            self._free -= 1
        else:
            if len(self._waiting) >= MAX_WAITING:
                self._reject_last(lane)
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (lane, next(self._numbers), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and turn.exception() is None:
                    self._next()
                raise
        try:
            yield
        finally:
            self._next()

    def _reject_last(self, lane: int) -> None:
        """Reject the check that would run last to make room for another one."""
        refusal = TooManyRequests("Too many people are signing in. Please try again in a minute.", 60)
        last = max(self._waiting)
        if (lane,) >= last[:1]:
            raise refusal
        self._waiting.remove(last)
        heapq.heapify(self._waiting)
        if not last[2].done():
            last[2].set_exception(refusal)

    def _next(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
