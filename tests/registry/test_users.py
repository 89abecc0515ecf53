"""Users are identified by provider and subject, never by their name."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import InvalidValue, Registry, UnknownUser, UsernameTaken


def test_a_new_user_is_stored_and_found(registry: Registry) -> None:
    user = registry.users.ensure("hub", "17", "ann", "editor")
    assert (user.provider, user.subject, user.username, user.role) == ("hub", "17", "ann", "editor")
    assert registry.users.ensure("hub", "17", "ann", "viewer") == user
    assert registry.users.get("ann") == user


def test_users_are_listed_by_name(registry: Registry) -> None:
    for name in ("eve", "ann", "bob"):
        registry.users.ensure("hub", name, name, "viewer")
    assert [user.username for user in registry.users.list()] == ["ann", "bob", "eve"]


def test_a_renamed_user_stays_the_same_user(registry: Registry) -> None:
    registry.users.ensure("hub", "17", "ann", "editor")
    renamed = registry.users.ensure("hub", "17", "anna", "viewer")
    assert (renamed.username, renamed.role) == ("anna", "editor")
    assert len(registry.users.list()) == 1
    (event,) = registry.catalog.events(limit=1)
    assert (event.kind, event.payload) == ("renamed", {"from": "ann", "to": "anna"})


def test_a_taken_user_name_is_refused(registry: Registry) -> None:
    registry.users.ensure("hub", "17", "ann", "editor")
    registry.users.ensure("local", "1", "bob", "viewer")
    for provider, subject in (("local", "2"), ("local", "1")):
        with pytest.raises(UsernameTaken, match="signs in through hub"):
            registry.users.ensure(provider, subject, "ann", "viewer")
    assert [user.username for user in registry.users.list()] == ["ann", "bob"]


def test_a_change_of_role_is_recorded(registry: Registry) -> None:
    registry.users.ensure("hub", "17", "ann", "viewer", actor="eve")
    assert registry.users.set_role("ann", "admin", actor="eve").role == "admin"
    registry.users.set_role("ann", "admin", actor="eve")
    changed, added = registry.catalog.events()
    assert (added.kind, added.actor, added.entity, added.entity_id) == ("added", "eve", "user", "ann")
    assert added.payload == {"provider": "hub", "role": "viewer"}
    assert (changed.kind, changed.payload) == ("role_set", {"from": "viewer", "to": "admin"})


def test_an_unknown_user_is_refused(registry: Registry) -> None:
    with pytest.raises(UnknownUser, match="no user 'ann'"):
        registry.users.get("ann")
    with pytest.raises(UnknownUser):
        registry.users.set_role("ann", "admin", actor="eve")


@pytest.mark.parametrize("name", ["", " ", "a b", "a\n", "@a", "a" * 65, "unknown", "\ud800"])
def test_a_misleading_user_name_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidValue, match="user name"):
        registry.users.ensure("hub", "17", name, "viewer")


@pytest.mark.parametrize("name", ["a", "ann@example.com", "ann_b.c-d+e", "ünal"])
def test_a_usual_user_name_is_accepted(registry: Registry, name: str) -> None:
    assert registry.users.ensure("hub", "17", name, "viewer").username == name


def test_a_user_needs_a_known_role_a_provider_and_a_subject(registry: Registry) -> None:
    with pytest.raises(InvalidValue, match="'owner' is unknown. Use one of viewer, editor, admin"):
        registry.users.ensure("hub", "17", "ann", "owner")  # type: ignore[arg-type]
    registry.users.ensure("hub", "17", "ann", "viewer")
    with pytest.raises(InvalidValue, match="'owner'"):
        registry.users.set_role("ann", "owner", actor="eve")  # type: ignore[arg-type]
    for provider, subject in ((" ", "1"), ("hub", "")):
        with pytest.raises(InvalidValue, match="empty"):
            registry.users.ensure(provider, subject, "bob", "viewer")


def test_a_user_who_signs_in_twice_at_once_is_stored_once(registry: Registry) -> None:
    with ThreadPoolExecutor(6) as pool:
        users = list(pool.map(lambda _: registry.users.ensure("hub", "17", "ann", "viewer"), range(12)))
    assert len(set(users)) == 1
    assert [event.kind for event in registry.catalog.events()] == ["added"]


def test_a_password_hash_is_stored_unchanged_and_never_recorded(registry: Registry) -> None:
    registry.users.ensure("password", "ann", "ann", "editor")
    assert registry.users.password_hash("ann") is None
    registry.users.set_password("ann", "scrypt$first", actor="eve")
    registry.users.set_password("ann", "scrypt$second", actor="ann")
    assert registry.users.password_hash("ann") == "scrypt$second"
    again, first = registry.catalog.events(limit=2)
    assert (first.kind, first.actor, dict(first.payload)) == ("password_set", "eve", {})
    assert (again.kind, again.actor) == ("password_set", "ann")


def test_a_removed_password_is_none(registry: Registry) -> None:
    registry.users.ensure("password", "ann", "ann", "editor")
    registry.users.set_password("ann", "scrypt$first", actor="eve")
    registry.users.set_password("ann", None, actor="eve")
    registry.users.set_password("ann", None, actor="eve")
    assert registry.users.password_hash("ann") is None
    assert registry.catalog.events(limit=1)[0].kind == "password_removed"
    assert registry.users.password_hash("nobody") is None
    with pytest.raises(UnknownUser):
        registry.users.set_password("nobody", "scrypt$first", actor="eve")
