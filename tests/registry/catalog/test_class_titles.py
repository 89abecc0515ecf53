"""Titles of classes: stored beside a version, which never changes."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from registry import InvalidValue, NewVersion, Registry, UnknownClass, VersionWithdrawn
from registry.database.db import Database

MakeVersion = Callable[..., NewVersion]


@pytest.fixture(autouse=True)
def two_versions(registry: Registry, new_version: MakeVersion) -> None:
    for number in (1, 2):
        registry.catalog.publish(new_version(str(number).encode(), class_names=("cat", "dog")), actor="ann")


def test_a_class_has_the_name_of_its_training_until_it_gets_a_title(registry: Registry) -> None:
    before = registry.catalog.version("pets@1")
    assert (before.class_titles, before.shown_classes) == ({}, ("cat", "dog"))
    changed = registry.class_titles.put("pets@1", "cat", "  House   cat ", actor="bob")
    assert changed.shown_classes == ("House cat", "dog")
    assert registry.catalog.version("pets@1") == changed
    assert registry.catalog.version("pets@2").shown_classes == ("cat", "dog")
    # names, files and identity stay as they were published
    assert (changed.class_names, changed.files) == (before.class_names, before.files)
    assert changed.manifest_sha256 == before.manifest_sha256


def test_a_title_is_replaced_by_class_name_or_title_and_removed(
    registry: Registry, database: Database
) -> None:
    registry.class_titles.put("pets@1", "cat", "House cat", actor="bob")
    assert registry.class_titles.put("pets@1", "House cat", "Tom", actor="bob").shown_classes[0] == "Tom"
    for title in ("", "cat"):
        registry.class_titles.put("pets@1", "cat", "Tom", actor="bob")
        assert registry.class_titles.put("pets@1", "cat", title, actor="bob").class_titles == {}
    with database.reading() as session:
        assert session.scalars(text("SELECT count(*) FROM version_class_titles")).one() == 0


def test_each_title_is_recorded_with_its_author_and_no_change_is_not(registry: Registry) -> None:
    registry.class_titles.put("pets@1", "cat", "Tom", actor="bob")
    revision = registry.revision()
    registry.class_titles.put("pets@1", "cat", "Tom", actor="eve")
    assert registry.revision() == revision
    event = registry.catalog.events("pets")[0]
    assert (event.actor, event.kind, event.entity_id) == ("bob", "titled", "pets@1")
    assert event.payload == {"class": "cat", "title": "Tom"}


def test_all_readers_of_the_catalog_see_the_title(registry: Registry) -> None:
    revision = registry.revision()
    registry.class_titles.put("pets", "cat", "Tom", actor="bob")
    (current,) = registry.catalog.changes_since(revision).current
    assert current.shown_classes == ("Tom", "dog")


def test_what_cannot_be_a_title_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidValue, match="another class is called 'dog'. Use another title"):
        registry.class_titles.put("pets@1", "cat", "dog", actor="bob")
    with pytest.raises(InvalidValue, match="more than 80 characters"):
        registry.class_titles.put("pets@1", "cat", "x" * 81, actor="bob")
    with pytest.raises(UnknownClass, match="pets@1 has no class 'bird'"):
        registry.class_titles.put("pets@1", "bird", "owl", actor="bob")
    registry.catalog.withdraw("pets", 1, "mislabelled", actor="ann")
    with pytest.raises(VersionWithdrawn):
        registry.class_titles.put("pets@1", "cat", "Tom", actor="bob")


def test_two_classes_can_exchange_their_names_one_after_the_other(registry: Registry) -> None:
    for old, new in (("cat", "other"), ("dog", "cat"), ("other", "dog")):
        registry.class_titles.put("pets@1", old, new, actor="bob")
    assert registry.catalog.version("pets@1").shown_classes == ("dog", "cat")
