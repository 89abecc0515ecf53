"""Guessing passwords slows down the guesser, not members with the right password."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import pytest

from loravit_web.access import sign_in as module
from loravit_web.access.members import Members
from loravit_web.access.rates import TooManyRequests
from loravit_web.access.sign_in import (
    FAILURES,
    PER_MINUTE_SUSPECT,
    PER_MINUTE_SUSPECTS,
    PER_MINUTE_TRUSTED,
    THREADS,
    SignInDesk,
)
from tests.aside import run_aside

T = TypeVar("T")
RIGHT, WRONG = "right", "wrong"


class Team:
    """Two members, whose passwords are checked at once or when a test lets them be."""

    def __init__(self) -> None:
        self.checked: list[tuple[str, str]] = []
        self.before: Callable[[], None] = lambda: None

    def security_stamp(self, username: str) -> str | None:
        return f"stamp of {username}" if username in ("ann", "bob") else None

    def is_password(self, username: str, password: str) -> bool:
        self.before()
        self.checked.append((username, password))
        return password == RIGHT


@pytest.fixture
def team() -> Team:
    return Team()


def at_the_desk(team: Team, visit: Callable[[SignInDesk], Awaitable[T]]) -> T:
    async def run() -> T:
        desk = SignInDesk(cast(Members, team), clock=lambda: 0.0)
        desk._usual_seconds = 0.0
        try:
            return await visit(desk)
        finally:
            desk.close()

    return run_aside(run())


async def tried(desk: SignInDesk, name: str, password: str, source: str, *, known: bool = False) -> Any:
    try:
        return await desk.security_stamp(name, password, source, known=known)
    except TooManyRequests:
        return "refused"


def test_only_the_right_password_gives_the_security_stamp(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        given = [("ann", RIGHT), ("ann", WRONG), ("eve", RIGHT), ("a" * 65, RIGHT), ("ann", "x" * 257)]
        return [await tried(desk, name, password, "10.0.0.1") for name, password in given]

    assert at_the_desk(team, visit) == ["stamp of ann", None, None, None, None]
    assert team.checked == [("ann", RIGHT), ("ann", WRONG)]


def test_failures_from_other_addresses_do_not_lock_a_member_out(team: Team) -> None:
    async def visit(desk: SignInDesk) -> Any:
        for number in range(PER_MINUTE_SUSPECTS * 2):
            await tried(desk, "ann", WRONG, f"10.0.0.{number % 20}")
        return await tried(desk, "ann", RIGHT, "192.0.2.1")

    assert at_the_desk(team, visit) == "stamp of ann"


def test_failures_from_the_same_address_do_not_lock_a_member_out(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        said = []
        for number in range(200):
            await tried(desk, ("ann", "bob", f"made-up-{number}")[number % 3], WRONG, "10.0.0.1")
            if number % 20 == 0:
                said.append(await tried(desk, "ann", RIGHT, "10.0.0.1"))
        return said

    assert at_the_desk(team, visit) == ["stamp of ann"] * 10


def test_an_address_that_keeps_guessing_is_rejected_without_a_check(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        return [await tried(desk, "ann", WRONG, "10.0.0.1") for _ in range(FAILURES + PER_MINUTE_SUSPECT + 5)]

    assert at_the_desk(team, visit).count("refused") == 5
    assert len(team.checked) == FAILURES + PER_MINUTE_SUSPECT


def test_suspect_addresses_share_a_budget(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        sources = [f"10.0.0.{number}" for number in range(3)]
        for source in sources:
            for _ in range(FAILURES):
                await tried(desk, "ann", WRONG, source)
        return [await tried(desk, "ann", WRONG, sources[n % 3]) for n in range(PER_MINUTE_SUSPECTS + 5)]

    assert at_the_desk(team, visit).count("refused") == 5


def test_trusted_addresses_share_another_budget(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        return [await tried(desk, "ann", RIGHT, f"10.0.{n}.1") for n in range(PER_MINUTE_TRUSTED + 1)]

    assert at_the_desk(team, visit).count("refused") == 1


def test_a_known_browser_is_never_rejected(team: Team) -> None:
    async def visit(desk: SignInDesk) -> Any:
        for number in range(2000):
            await tried(desk, "eve", WRONG, f"10.0.{number % 256}.1")
        return await tried(desk, "ann", RIGHT, "10.0.0.1", known=True)

    assert at_the_desk(team, visit) == "stamp of ann"


def test_trusted_checks_run_before_waiting_guesses(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[str]:
        for _ in range(FAILURES):
            await tried(desk, "bob", WRONG, "10.0.0.1")
        team.checked.clear()
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()
        team.before = lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        guesses = [asyncio.create_task(tried(desk, "bob", WRONG, "10.0.0.1")) for _ in range(20)]
        await asyncio.sleep(0.05)
        member = asyncio.create_task(tried(desk, "ann", RIGHT, "192.0.2.1"))
        await asyncio.sleep(0.05)
        gate.set()
        assert await member == "stamp of ann"
        await asyncio.gather(*guesses)
        return [name for name, _password in team.checked]

    # the two that are checked already end first, in either order with those that follow them
    assert "ann" in at_the_desk(team, visit)[: 2 * THREADS]


def test_a_full_queue_drops_a_guess_for_a_trusted_check(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)

    async def visit(desk: SignInDesk) -> tuple[Any, list[Any]]:
        for _ in range(FAILURES):
            await tried(desk, "bob", WRONG, "10.0.0.1")
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()
        team.before = lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        guesses = [asyncio.create_task(tried(desk, "bob", WRONG, "10.0.0.1")) for _ in range(THREADS + 4)]
        await asyncio.sleep(0.05)
        member = asyncio.create_task(tried(desk, "ann", RIGHT, "192.0.2.1"))
        await asyncio.sleep(0.05)
        gate.set()
        return await member, await asyncio.gather(*guesses)

    member, guesses = at_the_desk(team, visit)
    assert member == "stamp of ann"
    assert guesses.count("refused") == 2


def test_a_cancelled_check_frees_its_turn(team: Team) -> None:
    async def visit(desk: SignInDesk) -> Any:
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()
        team.before = lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        busy = [asyncio.create_task(tried(desk, "bob", RIGHT, "10.0.0.1")) for _ in range(THREADS)]
        await asyncio.sleep(0.05)
        leaving = [asyncio.create_task(tried(desk, "bob", RIGHT, "10.0.0.1")) for _ in range(3)]
        staying = asyncio.create_task(tried(desk, "ann", RIGHT, "10.0.0.2"))
        await asyncio.sleep(0.05)
        for task in leaving:
            task.cancel()
        gate.set()
        await asyncio.gather(*busy)
        return await asyncio.wait_for(staying, 5)

    assert at_the_desk(team, visit) == "stamp of ann"
