"""A session ends with its time, with a change of its member, and when its member signs out."""

from __future__ import annotations

import itertools

import pytest

from loravit_web.access import sessions as module
from loravit_web.access.actions import UserActions
from loravit_web.access.members import Members
from loravit_web.access.rights import SHELL
from loravit_web.access.sessions import IDLE_HOURS, MAX_PER_MEMBER, Sessions
from loravit_web.service import Service
from tests.access.test_members import SECRET


class Clock:
    """Time that passes when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(service: Service, clock: Clock) -> Sessions:
    numbers = itertools.count()
    return Sessions(
        100,
        security_stamp=service.members.security_stamp,
        clock=clock,
        token=lambda: f"token-{next(numbers)}",
    )


def signed_in(sessions: Sessions, members: Members, name: str = "ann") -> str:
    stamp = members.security_stamp(name)
    assert stamp is not None
    return sessions.open(name, stamp)


@pytest.fixture
def people(service: Service) -> UserActions:
    """The shell's changes of users."""
    return UserActions(service.registry, SHELL)


@pytest.fixture
def members(service: Service, people: UserActions) -> Members:
    people.add("ann", SECRET, "editor")
    people.add("bob", SECRET, "admin")
    return service.members


def test_a_session_belongs_to_its_member_until_it_expires(
    sessions: Sessions, members: Members, clock: Clock
) -> None:
    token = signed_in(sessions, members)
    for clock.now in range(0, 100 * 3600, 20 * 3600):
        assert sessions.member(token) == "ann"
    clock.now = 100 * 3600
    assert sessions.member(token) is None


def test_an_unused_session_expires_earlier(sessions: Sessions, members: Members, clock: Clock) -> None:
    token = signed_in(sessions, members)
    clock.now = IDLE_HOURS * 3600
    assert sessions.member(token) is None


@pytest.mark.parametrize(
    "change", ["password", "same password", "lower", "lower and back", "removed", "again"]
)
def test_every_change_of_a_member_ends_all_older_sessions_for_good(
    sessions: Sessions, members: Members, people: UserActions, service: Service, change: str
) -> None:
    token, other = signed_in(sessions, members), signed_in(sessions, members, "bob")
    users = service.registry.users
    match change:
        case "password":
            people.add("ann", "another password", "editor")
        case "same password":
            people.add("ann", SECRET, "editor")
        case "lower":
            users.set_role("ann", "viewer", actor="shell")
        case "lower and back":
            users.set_role("ann", "viewer", actor="shell")
            users.set_role("ann", "editor", actor="shell")
        case "removed":
            people.remove("ann")
        case "again":
            people.remove("ann")
            people.add("ann", SECRET, "editor")
    assert sessions.member(token) is None
    assert sessions.member(other) == "bob"
    if members.security_stamp("ann") is not None:
        assert sessions.member(signed_in(sessions, members)) == "ann"


def test_a_change_without_effect_ends_no_session(
    sessions: Sessions, members: Members, service: Service
) -> None:
    token = signed_in(sessions, members)
    service.registry.users.set_role("ann", "editor", actor="shell")
    service.registry.users.set_role("bob", "viewer", actor="shell")
    assert sessions.member(token) == "ann"


def test_signing_out_ends_all_sessions_of_the_member(sessions: Sessions, members: Members) -> None:
    tokens = [signed_in(sessions, members) for _ in range(3)]
    other = signed_in(sessions, members, "bob")
    sessions.close_all("ann")
    assert [sessions.member(token) for token in [*tokens, other]] == [None, None, None, "bob"]


def test_the_sessions_of_a_member_are_limited_and_the_oldest_ends_first(
    sessions: Sessions, members: Members
) -> None:
    tokens = [signed_in(sessions, members) for _ in range(MAX_PER_MEMBER + 2)]
    there = [sessions.member(token) is not None for token in tokens]
    assert there == [False, False] + [True] * MAX_PER_MEMBER


def test_all_sessions_together_are_limited(
    sessions: Sessions, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)
    first = signed_in(sessions, members)
    signed_in(sessions, members, "bob")
    signed_in(sessions, members, "bob")
    assert sessions.member(first) is None


def test_an_invented_token_has_no_session(sessions: Sessions) -> None:
    assert sessions.member("token-0") is None


def test_a_password_changed_during_its_check_opens_no_session(
    sessions: Sessions, members: Members, people: UserActions
) -> None:
    stamp = members.security_stamp("ann")
    assert stamp is not None
    people.add("ann", "another password", "editor")
    assert sessions.member(sessions.open("ann", stamp)) is None
