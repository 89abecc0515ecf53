"""Checking passwords while somebody guesses them: members who sign in rightly neither wait nor are refused.

A check takes about 0.3 s of a core on purpose, so a flood of guesses would keep both cores and everyone who
signs in. Checks run on threads of their own, and those from addresses that guess wrongly wait behind the
others and have a smaller budget. No limit belongs to a name alone: it would let anyone lock its member out.
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
from loravit_web.access.passwords import LONGEST
from loravit_web.access.rates import RateLimit, TooManyRequests

THREADS = 2
FAILURES, FAILURE_SECONDS = 5, 600.0
"""Wrong guesses of one address after which its tries wait behind the others, and for how long they count."""
OF_TRUSTED, OF_ONE_SUSPECT, OF_SUSPECTS = 120, 240, 300
"""Tries in a minute: from all addresses without many failures, from one with many, and from all of those."""
MOST_WAITING = 64
LONGEST_NAME = 64
_TRUSTED, _SUSPECT = 0, 1
_ALL = ""
_FIRST_GUESS_SECONDS = 0.3


class SignInDesk:
    """Checks names and passwords for one event loop.

    Args:
        members: who may sign in.
        clock: seconds.
    """

    def __init__(self, members: Members, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._members, self._clock = members, clock
        self._threads = ThreadPoolExecutor(THREADS, "password")
        self._free = THREADS
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._failures = RateLimit(FAILURES, seconds=FAILURE_SECONDS, clock=clock)
        self._trusted = RateLimit(OF_TRUSTED, clock=clock)
        self._suspect = RateLimit(OF_ONE_SUSPECT, clock=clock)
        self._suspects = RateLimit(OF_SUSPECTS, clock=clock)
        self._usual = _FIRST_GUESS_SECONDS

    async def standing(self, username: str, password: str, source: str, *, known: bool) -> str | None:
        """Return the standing to open a session with, or None where name or password is wrong.

        Args:
            username: as typed; no member has a name longer than `LONGEST_NAME`.
            source: what tries of one subscriber are counted under, see `addresses.source_of`.
            known: whether this browser signed in under the name before, which no guesser has.

        Raises:
            TooManyRequests: if too many tries come from this address or, of addresses with many failures,
                from all of them together.
        """
        suspect = not known and self._failures.is_reached(source)
        if suspect:
            self._suspect.admit(source)
            self._suspects.admit(_ALL)
        elif not known:
            self._trusted.admit(_ALL)
        standing = await self._checked(username, password, _SUSPECT if suspect else _TRUSTED)
        if standing is None:
            self._failures.note(source)
        return standing

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    async def _checked(self, username: str, password: str, lane: int) -> str | None:
        if len(username) > LONGEST_NAME or len(password) > LONGEST:
            return None
        # read first: a password that is changed while the old one is checked ends the session at once
        standing = await asyncio.to_thread(self._members.standing, username)
        if standing is None:  # as long as a check usually takes, which does not tell who is a member
            await asyncio.sleep(self._usual)
            return None
        started = self._clock()
        async with self._turn(lane):
            right = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._members.is_password, username, password
            )
        self._usual += (self._clock() - started - self._usual) / 4
        return standing if right else None

    @asynccontextmanager
    async def _turn(self, lane: int) -> AsyncIterator[None]:
        """Wait until a thread is free, the trusted first, each lane in its order."""
        if self._free:
            self._free -= 1
        else:
            if len(self._waiting) >= MOST_WAITING:
                self._send_away(lane)
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

    def _send_away(self, lane: int) -> None:
        """Make room for one more by refusing whoever would be served last."""
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
