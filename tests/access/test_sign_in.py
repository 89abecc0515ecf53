"""Guessing costs the guesser, not the member who signs in rightly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import pytest

from loravit_web.access import sign_in as module
from loravit_web.access.members import Members
from loravit_web.access.rates import TooManyRequests
from loravit_web.access.sign_in import FAILURES, OF_ONE_SUSPECT, OF_SUSPECTS, OF_TRUSTED, THREADS, SignInDesk
from tests.aside import run_aside

T = TypeVar("T")
RIGHT, WRONG = "right", "wrong"


class Team:
    """Two members, whose passwords are checked at once or when a test lets them be."""

    def __init__(self) -> None:
        self.checked: list[tuple[str, str]] = []
        self.before: Callable[[], None] = lambda: None

    def standing(self, username: str) -> str | None:
        return f"standing of {username}" if username in ("ann", "bob") else None

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
        desk._usual = 0.0
        try:
            return await visit(desk)
        finally:
            desk.close()

    return run_aside(run())


async def tried(desk: SignInDesk, name: str, password: str, source: str, *, known: bool = False) -> Any:
    try:
        return await desk.standing(name, password, source, known=known)
    except TooManyRequests:
        return "refused"


def test_the_right_password_gives_the_standing_and_any_other_none(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        given = [("ann", RIGHT), ("ann", WRONG), ("eve", RIGHT), ("a" * 65, RIGHT), ("ann", "x" * 257)]
        return [await tried(desk, name, password, "10.0.0.1") for name, password in given]

    assert at_the_desk(team, visit) == ["standing of ann", None, None, None, None]
    assert team.checked == [("ann", RIGHT), ("ann", WRONG)]


def test_no_number_of_wrong_tries_from_elsewhere_locks_a_member_out(team: Team) -> None:
    async def visit(desk: SignInDesk) -> Any:
        for number in range(OF_SUSPECTS * 2):
            await tried(desk, "ann", WRONG, f"10.0.0.{number % 20}")
        return await tried(desk, "ann", RIGHT, "192.0.2.1")

    assert at_the_desk(team, visit) == "standing of ann"


def test_two_hundred_wrong_tries_a_minute_from_the_same_address_do_not_either(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        said = []
        for number in range(200):
            await tried(desk, ("ann", "bob", f"made-up-{number}")[number % 3], WRONG, "10.0.0.1")
            if number % 20 == 0:
                said.append(await tried(desk, "ann", RIGHT, "10.0.0.1"))
        return said

    assert at_the_desk(team, visit) == ["standing of ann"] * 10


def test_an_address_that_guesses_on_is_refused_without_a_check(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        return [await tried(desk, "ann", WRONG, "10.0.0.1") for _ in range(FAILURES + OF_ONE_SUSPECT + 5)]

    assert at_the_desk(team, visit).count("refused") == 5
    assert len(team.checked) == FAILURES + OF_ONE_SUSPECT


def test_many_addresses_that_guess_share_a_budget(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        sources = [f"10.0.0.{number}" for number in range(3)]
        for source in sources:
            for _ in range(FAILURES):
                await tried(desk, "ann", WRONG, source)
        return [await tried(desk, "ann", WRONG, sources[n % 3]) for n in range(OF_SUSPECTS + 5)]

    assert at_the_desk(team, visit).count("refused") == 5


def test_addresses_that_never_failed_share_a_larger_calm(team: Team) -> None:
    async def visit(desk: SignInDesk) -> list[Any]:
        return [await tried(desk, "ann", RIGHT, f"10.0.{n}.1") for n in range(OF_TRUSTED + 1)]

    assert at_the_desk(team, visit).count("refused") == 1


def test_a_browser_that_signed_in_before_is_never_refused(team: Team) -> None:
    async def visit(desk: SignInDesk) -> Any:
        for number in range(2000):
            await tried(desk, "eve", WRONG, f"10.0.{number % 256}.1")
        return await tried(desk, "ann", RIGHT, "10.0.0.1", known=True)

    assert at_the_desk(team, visit) == "standing of ann"


def test_a_member_goes_before_all_guesses_that_wait(team: Team) -> None:
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
        assert await member == "standing of ann"
        await asyncio.gather(*guesses)
        return [name for name, _password in team.checked]

    # the two that are checked already end first, in either order with those that follow them
    assert "ann" in at_the_desk(team, visit)[: 2 * THREADS]


def test_where_too_many_wait_a_guess_makes_room_for_a_member(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)

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
    assert member == "standing of ann"
    assert guesses.count("refused") == 2


def test_who_leaves_while_waiting_gives_the_turn_on(team: Team) -> None:
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

    assert at_the_desk(team, visit) == "standing of ann"
