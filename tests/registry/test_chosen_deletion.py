"""Permanent deletion of what a user names: exactly that, and only if nothing depends on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from registry import (
    NewRun,
    NewVersion,
    OnlyVersion,
    Registry,
    RunHasVersions,
    StillTraining,
    UnknownAdapter,
    UnknownRun,
    UnknownVersion,
    VersionWasNamed,
)
from registry.backup.snapshot_store import LocalSnapshotStore
from registry.database.models import Table

MakeRun = Callable[..., NewRun]
MakeVersion = Callable[..., NewVersion]


@pytest.fixture
def pets(registry: Registry, new_version: MakeVersion) -> Registry:
    """The adapter pets with three versions; production names the first."""
    for number in (1, 2, 3):
        registry.catalog.publish(new_version(b"weights %d" % number, slug="pets"), actor="ann")
    registry.aliases.promote("pets@1", "production", actor="ann")
    return registry


def stored(registry: Registry, folder: Path) -> tuple[dict[str, int], int]:
    """Return how many rows each table has, without the events, and how many files are stored."""
    with registry._database.reading() as session:
        rows = {
            table.name: len(session.execute(select(*table.primary_key.columns)).all())
            for table in Table.metadata.sorted_tables
            if table.name != "audit_events"
        }
    return rows, sum(path.is_file() for path in folder.rglob("*"))


def test_a_version_is_deleted_with_its_files_and_its_number_is_not_used_again(
    pets: Registry, new_version: MakeVersion, tmp_path: Path
) -> None:
    revision, (_, files) = pets.revision(), stored(pets, tmp_path / "artifacts")
    assert pets.deletions.deletable_version("pets@3").ref == "pets@3"
    assert pets.deletions.delete_version("pets@3", actor="bob").versions == 1
    assert [version.ref for version in pets.catalog.versions("pets")] == ["pets@2", "pets@1"]
    with pytest.raises(UnknownVersion):
        pets.catalog.version("pets@3")
    assert pets.catalog.resolve("pets").ref == "pets@2"
    assert stored(pets, tmp_path / "artifacts")[1] == files - 1
    assert pets.search.stale_summaries() == ()
    assert pets.catalog.changes_since(revision).is_complete
    assert pets.catalog.publish(new_version(b"weights 4", slug="pets"), actor="ann").ref == "pets@4"


def test_the_history_of_the_adapter_says_who_deleted_a_version(pets: Registry) -> None:
    pets.deletions.delete_version("pets@2", actor="bob")
    event = pets.catalog.events("pets")[0]
    assert (event.kind, event.actor, event.entity_id) == ("forgotten", "bob", "pets@2")


def test_a_version_that_an_alias_named_once_is_kept_for_rollbacks(pets: Registry) -> None:
    pets.aliases.promote("pets@2", "production", actor="ann")
    for ref in ("pets@1", "pets@2"):
        with pytest.raises(VersionWasNamed, match="because production named it. Withdraw the version"):
            pets.deletions.deletable_version(ref)
        with pytest.raises(VersionWasNamed):
            pets.deletions.delete_version(ref, actor="ann")
    assert pets.aliases.rollback("pets", "production", actor="ann").version == 1


def test_the_only_version_is_deleted_with_its_adapter_alone(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(slug="pets"), actor="ann")
    with pytest.raises(OnlyVersion, match="Archive the adapter"):
        registry.deletions.delete_version("pets@1", actor="ann")


def test_an_adapter_is_deleted_with_everything_of_its_own_and_its_name_is_free(
    pets: Registry, new_version: MakeVersion, tmp_path: Path
) -> None:
    pets.catalog.publish(new_version(b"kept", slug="kept"), actor="ann")
    before, (_, files) = pets.revision(), stored(pets, tmp_path / "artifacts")
    deletion = pets.deletions.delete_adapter("pets", actor="ada")
    assert (deletion.adapters, deletion.versions) == ({"pets"}, 3)
    with pytest.raises(UnknownAdapter):
        pets.catalog.adapter("pets")
    rows, left = stored(pets, tmp_path / "artifacts")
    assert (rows["adapters"], rows["adapter_versions"], rows["adapter_aliases"]) == (1, 1, 0)
    assert left == files - 3
    event = pets.catalog.events()[0]
    assert (event.actor, event.payload["name"], event.payload["versions"]) == ("ada", "pets", 3)
    assert pets.restored_since(before)
    assert pets.catalog.publish(new_version(b"anew", slug="pets"), actor="ann").ref == "pets@1"
    assert pets.aliases.history("pets") == []


def test_nothing_is_deleted_that_a_queued_or_running_run_needs(
    pets: Registry, new_run: MakeRun, tmp_path: Path
) -> None:
    run = pets.runs.create(new_run(slug="pets"), actor="ann", worker="w")
    before = stored(pets, tmp_path / "artifacts")
    for delete, name in (
        (pets.deletions.delete_adapter, "pets"),
        (pets.deletions.delete_run, run.id),
    ):
        with pytest.raises(StillTraining, match="Cancel the run, or wait"):
            delete(name, actor="ada")
    with pytest.raises(StillTraining):
        pets.deletions.deletable_adapter("pets")
    assert stored(pets, tmp_path / "artifacts") == before


def test_a_run_is_deleted_once_its_versions_are(
    pets: Registry, new_run: MakeRun, new_version: MakeVersion, tmp_path: Path
) -> None:
    before, _ = stored(pets, tmp_path / "artifacts")
    run = pets.runs.create(new_run(slug="pets"), actor="ann", worker="w")
    pets.runs.log_metrics(run.id, 1, {"loss": 0.5})
    pets.run_files.put(run.id, "predictions.json", b"{}")
    pets.catalog.publish(new_version(b"of the run", slug="pets", run_id=run.id), actor="ann")
    with pytest.raises(StillTraining):
        pets.deletions.delete_version("pets@4", actor="ann")
    pets.runs.finish(run.lease, "completed")
    with pytest.raises(RunHasVersions, match="it made pets@4. Delete pets@4 first"):
        pets.deletions.deletable_run(run.id)
    pets.deletions.delete_version("pets@4", actor="ann")
    assert pets.runs.get(run.id).published is None
    assert pets.deletions.deletable_run(run.id).id == run.id
    assert pets.deletions.delete_run(run.id, actor="ann").runs == {run.id}
    with pytest.raises(UnknownRun):
        pets.runs.get(run.id)
    after, _ = stored(pets, tmp_path / "artifacts")
    assert {table: n for table, n in after.items() if n != before[table]} in ({}, {"datasets": 0})
    assert pets.deleted_runs([run.id]) == {run.id}
    assert pets.maintenance.database_problems() == []


def test_snapshots_continue_after_the_newest_run_and_version_are_deleted(
    pets: Registry, new_run: MakeRun, tmp_path: Path
) -> None:
    run = pets.runs.create(new_run(slug="pets"), actor="ann", worker="w")
    pets.runs.finish(run.lease, "failed")
    store = LocalSnapshotStore(tmp_path / "store")
    pets.save_snapshot(store, scratch=tmp_path / "scratch")
    pets.deletions.delete_run(run.id, actor="ann")
    pets.deletions.delete_version("pets@3", actor="ann")
    assert pets.save_snapshot(store, scratch=tmp_path / "scratch").state == pets.state()
