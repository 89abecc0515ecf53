"""A team: passwords, roles, and people from the Hub."""

from __future__ import annotations

import pytest

from loravit_web.access.actions import NameReserved, UserActions
from loravit_web.access.members import Members, NobodyYet, NotSignedIn
from loravit_web.access.passwords import UnusablePassword, hashed, matches
from loravit_web.access.rights import ANYBODY, SHELL, NotAllowed, member
from loravit_web.service import Service
from loravit_web.settings.modes import HubRoles
from registry import InvalidValue, UsernameTaken

SECRET = "a long password"
ROLES = HubRoles(enabled=True, admins=frozenset({"ada"}), editors=frozenset({"ed"}))


@pytest.fixture
def members(service: Service) -> Members:
    return service.members


@pytest.fixture
def people(service: Service) -> UserActions:
    """The shell's changes of users."""
    return UserActions(service.registry, SHELL)


def test_a_password_is_kept_salted_and_slow() -> None:
    one, other = (hashed(SECRET, random_bytes=lambda n, byte=byte: byte * n) for byte in (b"a", b"b"))
    assert one != other
    assert SECRET not in one
    assert matches(SECRET, one)
    assert not matches(SECRET.upper(), one)
    assert not matches(SECRET, None)
    assert not matches("x" * 10**6, one)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_password_of_no_use_is_refused_with_the_length_to_choose(password: str) -> None:
    with pytest.raises(UnusablePassword, match="choose one of 10 to 256"):
        hashed(password, random_bytes=bytes)


def test_somebody_signs_in_with_their_password_alone(members: Members, people: UserActions) -> None:
    people.add("ann", SECRET, "editor")
    assert members.is_password("ann", SECRET)
    assert not members.is_password("ann", "another password")
    assert not members.is_password("bob", SECRET)
    assert members.visitor("ann").may("train")
    assert not members.visitor("ann").may("manage")


def test_a_new_role_counts_at_once(members: Members, people: UserActions) -> None:
    people.add("ann", SECRET, "editor")
    people.set_role("ann", "viewer")
    assert not members.visitor("ann").may("train")


def test_who_was_removed_is_out_at_once_and_stays_in_the_history(
    members: Members, people: UserActions, service: Service
) -> None:
    people.add("ann", SECRET, "admin")
    people.remove("ann")
    assert not members.is_password("ann", SECRET)
    with pytest.raises(NotSignedIn, match="reload the page and sign in"):
        members.visitor("ann")
    assert [user.username for user in service.registry.users.list()] == ["ann"]


@pytest.mark.parametrize("name", ["page", "Shell", "guest", "guest-1a2b3c4d", "loravit-web"])
def test_nobody_takes_a_name_of_the_app(people: UserActions, name: str) -> None:
    with pytest.raises(NameReserved, match="choose another"):
        people.add(name, SECRET, "admin")


def test_a_name_that_can_not_be_used_is_refused_before_anything_is_kept(
    people: UserActions, service: Service
) -> None:
    with pytest.raises(InvalidValue, match="user name"):
        people.add("<b>ann</b>", SECRET, "admin")
    assert service.registry.users.list() == []


def test_a_team_needs_somebody_before_it_opens(members: Members, people: UserActions) -> None:
    with pytest.raises(NobodyYet, match="users add NAME --role admin"):
        members.check(mode="team", hub=False)
    members.check(mode="team", hub=True)
    members.check(mode="local", hub=False)
    people.add("ann", SECRET, "admin")
    members.check(mode="team", hub=False)


@pytest.mark.parametrize(("name", "role"), [("ada", "admin"), ("ed", "editor"), ("vera", "viewer")])
def test_people_from_the_hub_have_the_role_that_the_settings_give(
    members: Members, service: Service, name: str, role: str
) -> None:
    assert members.hub_visitor(f"id-{name}", name, ROLES).role == role
    events = service.registry.catalog.events()
    assert members.hub_visitor(f"id-{name}", name, ROLES).role == role
    assert service.registry.catalog.events() == events, "a second look writes nothing"


def test_somebody_from_the_hub_does_not_become_the_member_of_that_name(
    members: Members, people: UserActions
) -> None:
    people.add("ann", SECRET, "admin")
    with pytest.raises(UsernameTaken):
        members.hub_visitor("id-ann", "ann", ROLES)


def test_a_role_given_by_the_settings_is_taken_back_by_them(members: Members, service: Service) -> None:
    members.hub_visitor("id-ed", "ed", ROLES)
    assert members.hub_visitor("id-ed", "ed", HubRoles(enabled=True)).role == "viewer"
    assert service.registry.users.get("ed").role == "viewer"


def test_a_reader_without_a_name_is_told_to_sign_in() -> None:
    assert "sign in" in str(ANYBODY.refusal("train"))


def test_only_an_admin_changes_who_belongs_to_the_team(service: Service, people: UserActions) -> None:
    people.add("ann", SECRET, "editor")
    before = service.registry.catalog.events()
    editor = UserActions(service.registry, member("ann", "editor"))
    for change in (
        lambda: editor.add("bob", SECRET, "viewer"),
        lambda: editor.set_role("ann", "admin"),
        lambda: editor.remove("ann"),
    ):
        with pytest.raises(NotAllowed, match="This needs an admin, and ann is an editor"):
            change()
    assert service.registry.catalog.events() == before
