"""Aliases: promotion, protection, history and rollback."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from registry import (
    AdapterQuery,
    AliasProtected,
    InvalidAlias,
    NewVersion,
    NothingToRollBack,
    Registry,
    UnknownAdapter,
    UnknownAlias,
    UnknownVersion,
    VersionInUse,
    VersionWithdrawn,
)
from registry.catalog import aliases as aliases_module
from registry.database.db import Database

MakeVersion = Callable[..., NewVersion]


@pytest.fixture(autouse=True)
def three_versions(registry: Registry, new_version: MakeVersion) -> None:
    for number in (1, 2, 3):
        registry.catalog.publish(new_version(str(number).encode()), actor="ann")


def promote(registry: Registry, *numbers: int, alias: str = "production") -> None:
    for number in numbers:
        registry.aliases.promote(f"pets@{number}", alias, actor="ann")


def test_a_promoted_version_is_resolved_by_its_alias_wherever_it_moves(registry: Registry) -> None:
    alias = registry.aliases.promote("pets@2", "production", actor="bob")
    assert (alias.ref, alias.alias, alias.protected, alias.moved_by) == ("pets@2", "production", False, "bob")
    assert registry.catalog.resolve("pets@production").ref == "pets@2"
    promote(registry, 1)
    assert registry.catalog.resolve("pets@production").ref == "pets@1"
    assert registry.catalog.resolve("pets").ref == "pets@3"


def test_latest_is_always_the_newest_version_that_is_not_withdrawn(
    registry: Registry, new_version: MakeVersion
) -> None:
    assert registry.catalog.resolve("pets@latest").ref == "pets@3"
    registry.catalog.withdraw("pets", 3, "mislabelled", actor="ann")
    assert registry.catalog.resolve("pets@latest").ref == "pets@2"
    registry.catalog.publish(new_version(b"4"), actor="ann")
    assert registry.catalog.resolve("pets@latest").ref == "pets@4"
    assert registry.aliases.list("pets") == []


def test_a_name_without_a_version_means_the_alias_default_or_the_newest(registry: Registry) -> None:
    promote(registry, 1, alias="default")
    assert registry.catalog.resolve("pets").ref == "pets@1"
    assert registry.catalog.resolve("pets@latest").ref == "pets@3"
    assert [version.ref for version in registry.catalog.current()] == ["pets@1"]
    promote(registry, 2, alias="default")
    assert registry.catalog.resolve("pets").ref == "pets@2"
    registry.aliases.remove("pets", "default", actor="ann")
    assert registry.catalog.resolve("pets").ref == "pets@3"
    with pytest.raises(UnknownVersion):
        registry.catalog.resolve("pets@default")


def test_pages_and_lists_follow_the_alias_default(registry: Registry) -> None:
    revision = registry.catalog.changes_since(0).revision

    def listed() -> list[str]:
        (entry,) = registry.search.adapters(AdapterQuery()).entries
        assert entry.newest is not None
        changed = registry.catalog.changes_since(revision).current
        return [f"pets@{entry.newest.version}", *(version.ref for version in changed)]

    promote(registry, 1, alias="default")
    assert listed() == ["pets@1", "pets@1"]
    registry.aliases.remove("pets", "default", actor="ann")
    assert listed() == ["pets@3", "pets@3"]


def test_an_alias_or_a_slug_alone_can_be_promoted(registry: Registry) -> None:
    promote(registry, 1, alias="staging")
    assert registry.aliases.promote("pets@staging", "production", actor="ann").version == 1
    assert registry.aliases.promote("pets", "production", actor="ann").version == 3


def test_a_promotion_is_recorded_with_the_previous_version(registry: Registry) -> None:
    promote(registry, 1, 3)
    moved, made = registry.catalog.events(limit=2)
    assert (made.kind, made.entity, made.entity_id, made.payload) == (
        "promoted",
        "alias",
        "pets@production",
        {"from": None, "to": 1},
    )
    assert (moved.kind, moved.actor, moved.payload) == ("promoted", "ann", {"from": 1, "to": 3})
    (alias,) = registry.aliases.list("pets")
    assert alias.moved_at == moved.ts


def test_promoting_the_present_version_again_changes_nothing(registry: Registry) -> None:
    first = registry.aliases.promote("pets@1", "production", actor="ann")
    revision = registry.revision()
    assert registry.aliases.promote("pets@1", "production", actor="bob") == first
    assert registry.revision() == revision


def test_a_promotion_that_cannot_be_recorded_does_not_happen(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(registry, 1)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(aliases_module, "record_event", fail)
        promote(registry, 2)
    assert registry.catalog.resolve("pets@production").ref == "pets@1"


@pytest.mark.parametrize(
    ("alias", "sentence"),
    [
        ("latest", "newest version"),
        ("v3", "looks like a version number"),
        ("3", "looks like a version number"),
        ("v3-candidate", "looks like a version number"),
        ("Production", "lowercase"),
        ("", "lowercase"),
        ("-a", "lowercase"),
        ("a b", "lowercase"),
        ("a@b", "lowercase"),
        ("prod\n", "lowercase"),
        ("a" * 33, "1 to 32"),
    ],
)
def test_an_ambiguous_name_is_refused_as_an_alias(registry: Registry, alias: str, sentence: str) -> None:
    with pytest.raises(InvalidAlias, match=sentence):
        registry.aliases.promote("pets@1", alias, actor="ann")
    assert registry.aliases.list("pets") == []


@pytest.mark.parametrize("alias", ["a", "production", "very-good", "vnext", "b2b", "a" * 32])
def test_a_valid_alias_is_accepted(registry: Registry, alias: str) -> None:
    assert registry.aliases.promote("pets@1", alias, actor="ann").alias == alias


def test_only_an_existing_version_can_be_promoted(registry: Registry) -> None:
    with pytest.raises(UnknownVersion, match="no version or alias '9'"):
        promote(registry, 9)
    with pytest.raises(UnknownAdapter):
        registry.aliases.promote("cars@1", "production", actor="ann")


def test_a_withdrawn_version_cannot_be_promoted(registry: Registry) -> None:
    registry.catalog.withdraw("pets", 2, "mislabelled", actor="ann")
    with pytest.raises(VersionWithdrawn, match="mislabelled"):
        promote(registry, 2)


def test_a_version_cannot_be_withdrawn_while_aliases_name_it(registry: Registry) -> None:
    promote(registry, 2)
    promote(registry, 2, alias="best")
    with pytest.raises(VersionInUse, match="Move best and production to another version first") as caught:
        registry.catalog.withdraw("pets", 2, "mislabelled", actor="ann")
    assert caught.value.aliases == ("best", "production")
    assert registry.catalog.resolve("pets@2").withdrawn_at is None
    promote(registry, 1)
    registry.aliases.remove("pets", "best", actor="ann")
    assert registry.catalog.withdraw("pets", 2, "mislabelled", actor="ann").withdrawn_at is not None


def test_a_protected_alias_moves_only_with_permission(registry: Registry) -> None:
    promote(registry, 1, 2)
    assert registry.aliases.protect("pets", "production", actor="eve").protected
    for change in (
        lambda: registry.aliases.promote("pets@3", "production", actor="bob"),
        lambda: registry.aliases.rollback("pets", "production", actor="bob"),
        lambda: registry.aliases.remove("pets", "production", actor="bob"),
    ):
        with pytest.raises(AliasProtected, match="production of pets is protected"):
            change()
    assert registry.catalog.resolve("pets@production").ref == "pets@2"
    moved = registry.aliases.promote("pets@3", "production", actor="eve", allow_protected=True)
    assert (moved.version, moved.protected) == (3, True)
    registry.aliases.unprotect("pets", "production", actor="eve")
    promote(registry, 1)
    assert registry.catalog.resolve("pets@production").ref == "pets@1"


def test_protection_is_recorded_once(registry: Registry) -> None:
    promote(registry, 1)
    for _ in range(2):
        registry.aliases.protect("pets", "production", actor="eve")
    for _ in range(2):
        registry.aliases.unprotect("pets", "production", actor="eve")
    kinds = [event.kind for event in registry.catalog.events("pets", limit=3)]
    assert kinds == ["unprotected", "protected", "promoted"]


def test_a_removed_alias_keeps_its_history(registry: Registry) -> None:
    promote(registry, 1)
    registry.aliases.remove("pets", "production", actor="bob")
    assert registry.aliases.list("pets") == []
    with pytest.raises(UnknownVersion, match="no version or alias 'production'"):
        registry.catalog.resolve("pets@production")
    removed, made = registry.aliases.history("pets", "production")
    assert (removed.kind, removed.before, removed.after, removed.moved_by) == ("removed", 1, None, "bob")
    assert (made.kind, made.before, made.after) == ("promoted", None, 1)


def test_an_unknown_alias_is_answered_with_the_existing_ones(registry: Registry) -> None:
    with pytest.raises(UnknownAlias, match="Promote one of its versions"):
        registry.aliases.rollback("pets", "production", actor="ann")
    promote(registry, 1, alias="staging")
    for change in (registry.aliases.rollback, registry.aliases.remove, registry.aliases.protect):
        with pytest.raises(UnknownAlias, match="Its aliases are staging"):
            change("pets", "production", actor="ann")


def test_a_rollback_goes_back_step_by_step_and_is_recorded(registry: Registry) -> None:
    promote(registry, 1, 3, 2)
    assert registry.aliases.rollback("pets", "production", actor="bob").version == 3
    assert registry.aliases.rollback("pets", "production", actor="bob").version == 1
    with pytest.raises(NothingToRollBack, match="Promote a version instead"):
        registry.aliases.rollback("pets", "production", actor="bob")
    newest = registry.aliases.history("pets", "production")[0]
    assert (newest.kind, newest.before, newest.after, newest.moved_by) == ("rolled_back", 3, 1, "bob")


def test_the_target_of_a_rollback_is_known_in_advance(registry: Registry) -> None:
    promote(registry, 1, 3)
    assert registry.aliases.rollback_target("pets", "production") == 1
    assert registry.aliases.rollback("pets", "production", actor="ann").version == 1
    with pytest.raises(NothingToRollBack):
        registry.aliases.rollback_target("pets", "production")
    with pytest.raises(UnknownAlias):
        registry.aliases.rollback_target("pets", "staging")


def test_a_version_that_was_rolled_back_is_skipped_by_later_rollbacks(registry: Registry) -> None:
    promote(registry, 1, 2)
    registry.aliases.rollback("pets", "production", actor="ann")
    promote(registry, 3)
    assert registry.aliases.rollback("pets", "production", actor="ann").version == 1


def test_a_rollback_skips_withdrawn_versions(registry: Registry) -> None:
    promote(registry, 1, 2, 3)
    registry.catalog.withdraw("pets", 2, "mislabelled", actor="ann")
    assert registry.aliases.rollback("pets", "production", actor="ann").version == 1


def test_an_alias_created_again_keeps_its_history(registry: Registry) -> None:
    promote(registry, 1, 2)
    registry.aliases.remove("pets", "production", actor="ann")
    promote(registry, 2)
    assert registry.aliases.rollback("pets", "production", actor="ann").version == 1


def test_the_history_of_an_alias_or_adapter_excludes_others(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(slug="pets-2"), actor="ann")
    registry.aliases.promote("pets-2@1", "production", actor="ann")
    promote(registry, 1)
    promote(registry, 2, alias="staging")
    assert [(m.alias, m.after) for m in registry.aliases.history("pets")] == [
        ("staging", 2),
        ("production", 1),
    ]
    assert [m.after for m in registry.aliases.history("pets", "staging")] == [2]


def test_adapters_are_listed_with_their_own_aliases(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(slug="birds"), actor="ann")
    promote(registry, 2, alias="staging")
    promote(registry, 1)
    found = {adapter.slug: [one.alias for one in adapter.aliases] for adapter in registry.catalog.adapters()}
    assert found == {"birds": [], "pets": ["production", "staging"]}


def test_concurrent_promotions_leave_an_unbroken_history(registry: Registry) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: promote(registry, number % 3 + 1), range(24)))
    moves = registry.aliases.history("pets", "production")[::-1]
    assert moves[0].before is None
    for earlier, later in pairwise(moves):
        assert later.before == earlier.after != later.after
    assert registry.catalog.resolve("pets@production").version == moves[-1].after


@pytest.mark.parametrize(
    "values",
    [
        "1, 'latest', 1",
        "1, '3', 1",
        "1, 'production', 99",  # no such version
        "1, 'production', 4",  # a version of another adapter
    ],
)
def test_the_database_itself_refuses_a_dangling_or_ambiguous_alias(
    registry: Registry, new_version: MakeVersion, database: Database, values: str
) -> None:
    registry.catalog.publish(new_version(slug="birds"), actor="ann")
    with pytest.raises(IntegrityError), database.writing() as session:
        session.execute(text(f"INSERT INTO adapter_aliases VALUES ({values}, '2026', 'x', 0)"))
