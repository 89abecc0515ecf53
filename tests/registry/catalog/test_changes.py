"""Changes of the catalog since a revision, without reading all of it again."""

from collections.abc import Callable

import pytest

from registry import NewVersion, Registry, Version
from registry.catalog import changes as changes_module

MakeVersion = Callable[..., NewVersion]


@pytest.fixture
def three(registry: Registry, new_version: MakeVersion) -> Registry:
    for slug in ("a", "b", "c"):
        registry.catalog.publish(new_version(slug=slug), actor="ann")
    return registry


def by_slug(registry: Registry) -> dict[str, Version]:
    return {version.slug: version for version in registry.catalog.current()}


@pytest.mark.parametrize("revision", [-1, 0, 99])
def test_a_reader_with_an_unknown_revision_gets_the_complete_catalog(three: Registry, revision: int) -> None:
    changes = three.catalog.changes_since(revision)
    assert (changes.revision, changes.is_complete, changes.gone) == (3, True, frozenset())
    assert list(changes.current) == three.catalog.current()
    assert changes.applied_to({"old": changes.current[0]}) == by_slug(three)


def test_an_empty_catalog_has_no_changes(registry: Registry) -> None:
    changes = registry.catalog.changes_since(-1)
    assert (changes.revision, changes.current, changes.is_complete) == (0, (), True)


def test_nothing_is_read_if_nothing_has_changed(three: Registry) -> None:
    changes = three.catalog.changes_since(3)
    assert (changes.revision, changes.current, changes.gone) == (3, (), frozenset())
    assert not changes.is_complete


def test_only_the_adapters_that_changed_are_read(three: Registry, new_version: MakeVersion) -> None:
    before = by_slug(three)
    three.catalog.publish(new_version(b"2", slug="b"), actor="ann")
    three.catalog.publish(new_version(slug="d"), actor="ann")
    three.catalog.archive("a", actor="ann")
    three.catalog.withdraw("c", 1, "mislabelled", actor="ann")
    changes = three.catalog.changes_since(3)
    assert [version.ref for version in changes.current] == ["b@2", "d@1"]
    assert (changes.gone, changes.is_complete) == (frozenset({"a", "c"}), False)
    assert changes.applied_to(before) == by_slug(three)


def test_an_adapter_that_was_archived_and_published_again_is_current(
    three: Registry, new_version: MakeVersion
) -> None:
    three.catalog.archive("a", actor="ann")
    three.catalog.publish(new_version(b"2", slug="a"), actor="ann")
    changes = three.catalog.changes_since(3)
    assert ([version.ref for version in changes.current], changes.gone) == (["a@2"], frozenset())


def test_after_many_changes_the_complete_catalog_is_read(
    three: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_module, "MAX_CHANGED", 1)
    assert three.catalog.changes_since(1).is_complete is True
    assert three.catalog.changes_since(2).is_complete is False
