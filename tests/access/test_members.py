"""Members of a team: passwords, roles, and people from the Hub."""

from __future__ import annotations

import pytest

from loravit_web.access import passwords
from loravit_web.access.actions import NameReserved, UserActions
from loravit_web.access.members import Members, NoMembers, NotSignedIn
from loravit_web.access.passwords import UnusablePassword, hashed, matches
from loravit_web.access.rights import ANONYMOUS, SHELL, NotAllowed, member
from loravit_web.service import Service
from loravit_web.settings.modes import HubRoles
from registry import InvalidValue, UsernameTaken
from tests.conftest import SCRYPT

SECRET = "a long password"
ROLES = HubRoles(enabled=True, admins=frozenset({"ada"}), editors=frozenset({"ed"}))


@pytest.fixture
def members(service: Service) -> Members:
    return service.members


@pytest.fixture
def people(service: Service) -> UserActions:
    """The shell's changes of users."""
    return UserActions(service.registry, SHELL)


def test_a_password_is_stored_with_a_salt_and_a_slow_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SCRYPT.items():
        monkeypatch.setattr(passwords, name, value)
    one, other = (hashed(SECRET, random_bytes=lambda n, byte=byte: byte * n) for byte in (b"a", b"b"))
    assert one != other
    assert one.startswith("scrypt$32768$8$3$")
    assert SECRET not in one
    assert matches(SECRET, one)
    assert not matches(SECRET.upper(), one)
    assert not matches(SECRET, None)
    assert not matches("x" * 10**6, one)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_an_unusable_password_is_rejected_with_the_allowed_length(password: str) -> None:
    with pytest.raises(UnusablePassword, match="Choose one with 10 to 256"):
        hashed(password, random_bytes=bytes)


def test_a_member_only_signs_in_with_the_right_password(members: Members, people: UserActions) -> None:
    people.add("ann", SECRET, "editor")
    assert members.is_password("ann", SECRET)
    assert not members.is_password("ann", "another password")
    assert not members.is_password("bob", SECRET)
    assert members.visitor("ann").may("train")
    assert not members.visitor("ann").may("manage")


def test_a_new_role_takes_effect_at_once(members: Members, people: UserActions) -> None:
    people.add("ann", SECRET, "editor")
    people.set_role("ann", "viewer")
    assert not members.visitor("ann").may("train")


def test_a_removed_member_cannot_sign_in_and_stays_in_the_history(
    members: Members, people: UserActions, service: Service
) -> None:
    people.add("ann", SECRET, "admin")
    people.remove("ann")
    assert not members.is_password("ann", SECRET)
    with pytest.raises(NotSignedIn, match="You are not signed in. Reload the page and sign in"):
        members.visitor("ann")
    assert [user.username for user in service.registry.users.list()] == ["ann"]


@pytest.mark.parametrize("name", ["page", "Shell", "guest", "guest-1a2b3c4d", "loravit-web"])
def test_names_of_the_app_are_reserved(people: UserActions, name: str) -> None:
    with pytest.raises(NameReserved, match="is reserved for the app. Choose another name"):
        people.add(name, SECRET, "admin")


def test_an_invalid_name_is_rejected_before_anything_is_stored(people: UserActions, service: Service) -> None:
    with pytest.raises(InvalidValue, match="user name"):
        people.add("<b>ann</b>", SECRET, "admin")
    assert service.registry.users.list() == []


def test_a_team_needs_a_member_before_it_starts(members: Members, people: UserActions) -> None:
    with pytest.raises(NoMembers, match="users add NAME --role admin"):
        members.check(mode="team", hub=False)
    members.check(mode="team", hub=True)
    members.check(mode="local", hub=False)
    people.add("ann", SECRET, "admin")
    members.check(mode="team", hub=False)


@pytest.mark.parametrize(("name", "role"), [("ada", "admin"), ("ed", "editor"), ("vera", "viewer")])
def test_people_from_the_hub_have_the_role_in_the_settings(
    members: Members, service: Service, name: str, role: str
) -> None:
    assert members.hub_visitor(f"id-{name}", name, ROLES).role == role
    events = service.registry.catalog.events()
    assert members.hub_visitor(f"id-{name}", name, ROLES).role == role
    assert service.registry.catalog.events() == events, "a second look writes nothing"


def test_a_hub_user_does_not_become_the_member_of_the_same_name(
    members: Members, people: UserActions
) -> None:
    people.add("ann", SECRET, "admin")
    with pytest.raises(UsernameTaken):
        members.hub_visitor("id-ann", "ann", ROLES)


def test_a_role_is_removed_with_the_setting(members: Members, service: Service) -> None:
    members.hub_visitor("id-ed", "ed", ROLES)
    assert members.hub_visitor("id-ed", "ed", HubRoles(enabled=True)).role == "viewer"
    assert service.registry.users.get("ed").role == "viewer"


def test_an_anonymous_reader_is_asked_to_sign_in() -> None:
    assert "sign in" in str(ANONYMOUS.refusal("train"))


def test_only_an_admin_changes_the_members_of_a_team(service: Service, people: UserActions) -> None:
    people.add("ann", SECRET, "editor")
    before = service.registry.catalog.events()
    editor = UserActions(service.registry, member("ann", "editor"))
    for change in (
        lambda: editor.add("bob", SECRET, "viewer"),
        lambda: editor.set_role("ann", "admin"),
        lambda: editor.remove("ann"),
    ):
        with pytest.raises(NotAllowed, match="This needs an admin, but ann is an editor"):
            change()
    assert service.registry.catalog.events() == before
