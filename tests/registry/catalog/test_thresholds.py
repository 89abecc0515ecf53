"""Thresholds of answers: stored beside a version, which never changes."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from registry import (
    InvalidValue,
    NewVersion,
    Registry,
    Thresholds,
    UnknownVersion,
    VersionWithdrawn,
)
from registry.database.db import Database

MakeVersion = Callable[..., NewVersion]


@pytest.fixture(autouse=True)
def two_versions(registry: Registry, new_version: MakeVersion) -> None:
    for number in (1, 2):
        registry.catalog.publish(new_version(str(number).encode()), actor="ann")


def test_a_version_is_as_trained_until_its_thresholds_are_set(registry: Registry) -> None:
    before = registry.catalog.version("pets@1")
    assert before.thresholds == Thresholds(unlike=None, unsure=None)
    changed = registry.thresholds.set("pets@1", Thresholds(unlike=1.5), actor="bob")
    assert changed.thresholds == Thresholds(unlike=1.5, unsure=None)
    assert registry.catalog.version("pets@1") == changed
    assert registry.catalog.version("pets@2").thresholds == Thresholds()
    # files and identity stay as they were published
    assert (changed.files, changed.manifest_sha256) == (before.files, before.manifest_sha256)


def test_all_readers_of_the_catalog_see_the_thresholds(registry: Registry) -> None:
    revision = registry.revision()
    wanted = Thresholds(2.0, 0.75)
    registry.thresholds.set("pets", wanted, actor="bob")
    (current,) = registry.catalog.changes_since(revision).current
    newest = registry.catalog.adapter("pets").newest
    assert newest is not None
    assert [current.thresholds, newest.thresholds] == [wanted, wanted]
    assert [version.thresholds for version in registry.catalog.versions("pets")] == [wanted, Thresholds()]


def test_thresholds_go_back_to_as_trained_and_leave_no_row(registry: Registry, database: Database) -> None:
    registry.thresholds.set("pets@1", Thresholds(1.5, 0.25), actor="bob")
    registry.thresholds.set("pets@1", Thresholds(unsure=0.25), actor="bob")
    assert registry.catalog.version("pets@1").thresholds == Thresholds(unsure=0.25)
    assert registry.thresholds.set("pets@1", Thresholds(), actor="bob").thresholds == Thresholds()
    with database.reading() as session:
        assert session.scalars(text("SELECT count(*) FROM version_thresholds")).one() == 0


def test_each_change_is_recorded_with_its_author_and_no_change_is_not(registry: Registry) -> None:
    registry.thresholds.set("pets@1", Thresholds(unlike=1.5), actor="bob")
    revision = registry.revision()
    registry.thresholds.set("pets@1", Thresholds(unlike=1.5), actor="eve")
    assert registry.revision() == revision
    event = registry.catalog.events("pets")[0]
    assert (event.actor, event.kind, event.entity, event.entity_id) == (
        "bob",
        "adjusted",
        "version",
        "pets@1",
    )
    assert event.payload == {
        "from": {"unlike": None, "unsure": None},
        "to": {"unlike": 1.5, "unsure": None},
    }


@pytest.mark.parametrize(
    ("thresholds", "field"),
    [
        (Thresholds(unlike=0.0), "unlike"),
        (Thresholds(unlike=101.0), "unlike"),
        (Thresholds(unlike=float("nan")), "unlike"),
        (Thresholds(unsure=-0.1), "unsure"),
        (Thresholds(unsure=1.1), "unsure"),
    ],
)
def test_a_threshold_out_of_range_is_refused(registry: Registry, thresholds: Thresholds, field: str) -> None:
    with pytest.raises(InvalidValue, match=f"the threshold of {field}"):
        registry.thresholds.set("pets@1", thresholds, actor="bob")
    assert registry.catalog.version("pets@1").thresholds == Thresholds()


def test_a_withdrawn_or_unknown_version_has_no_thresholds_to_set(registry: Registry) -> None:
    registry.catalog.withdraw("pets", 1, "mislabelled", actor="ann")
    with pytest.raises(VersionWithdrawn):
        registry.thresholds.set("pets@1", Thresholds(unlike=2.0), actor="bob")
    with pytest.raises(UnknownVersion):
        registry.thresholds.set("pets@7", Thresholds(unlike=2.0), actor="bob")
