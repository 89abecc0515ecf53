"""Permanent deletion of what certain owners left: all of it, and nothing else."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from registry import (
    BlobStoreUnreachable,
    ClassMetric,
    ConfusionCell,
    DatasetClass,
    NewDataset,
    NewEvaluation,
    NewRun,
    NewVersion,
    Owners,
    Registry,
    Run,
    UnknownAdapter,
    UnknownRun,
    UsageCount,
)
from registry.backup.snapshot_store import LocalSnapshotStore
from registry.blobs.local import LocalBlobs
from registry.database.db import Database
from registry.database.models import Table
from tests.registry.conftest import FakeClock, only_sqlite

GUESTS = Owners("guest")
LATER = timedelta(days=2)
SECRET = "zebrafinch"
MakeRun = Callable[..., NewRun]
MakeVersion = Callable[..., NewVersion]


@pytest.fixture
def train(registry: Registry, new_run: MakeRun, new_version: MakeVersion) -> Callable[..., Run]:
    """Trains an adapter under an owner, with rows in every table that can refer to one."""

    def train(owner: str, slug: str, *, word: str = SECRET, weights: bytes = b"weights") -> Run:
        classes = (DatasetClass(f"{word}-a", 6, 2, 1), DatasetClass(f"{word}-b", 5, 2, 0))
        data = registry.datasets.ensure(NewDataset(f"{slug:f<64}"[:64], f"{word} data", "zip", classes))
        run = registry.runs.create(
            new_run(slug=slug, title=word, dataset_id=data.id), actor=owner, worker="w"
        )
        registry.runs.log_metrics(run.id, 1, {"loss": 0.5})
        registry.run_files.put(run.id, "predictions.json", f"{word} {slug}".encode())
        results = NewEvaluation(
            "validation",
            1,
            1.0,
            0.1,
            1.0,
            classes=(ClassMetric(1, 1, 1, 1), ClassMetric(0, 0, 0, 0)),
            confusion=(ConfusionCell(0, 0, 1),),
        )
        version = registry.catalog.publish(
            new_version(
                weights,
                slug=slug,
                title=word,
                run_id=run.id,
                dataset_id=data.id,
                class_names=(f"{word}-a", f"{word}-b"),
                evaluations=(results,),
                tags=(word,),
            ),
            actor=owner,
        )
        registry.aliases.promote(version.ref, "production", actor=owner)
        hour = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
        registry.usage.add([UsageCount(version.id, hour, 1, 0, 1.0, 1.0)])
        return registry.runs.finish(run.lease, "completed", note=word)

    return train


def rows(registry: Registry) -> dict[str, int]:
    """Return how many rows each table holds."""
    with registry._database.reading() as session:
        return {
            table.name: len(session.execute(select(*table.primary_key.columns)).all())
            for table in Table.metadata.sorted_tables
        }


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_all_rows_of_a_guest_are_deleted_and_all_others_kept(
    registry: Registry, train: Callable[..., Run], clock: FakeClock, tmp_path: Path
) -> None:
    kept = train("ann", "kept", word="cat")
    before, stored = rows(registry), files(tmp_path / "artifacts")
    run = train("guest-1", "secret", weights=b"of a guest")
    revision = registry.revision()
    clock.now += LATER

    deletion = registry.delete_inactive(GUESTS, before=clock.now - timedelta(days=1), actor="app")

    assert (deletion.adapters, deletion.versions, deletion.runs) == ({"secret"}, 1, {run.id})
    assert (deletion.owners, len(deletion.datasets)) == ({"guest-1"}, 1)
    with pytest.raises(UnknownAdapter):
        registry.catalog.version("secret@1")
    with pytest.raises(UnknownRun):
        registry.runs.get(run.id)
    assert rows(registry) == before | {"audit_events": before["audit_events"] + 1}
    assert files(tmp_path / "artifacts") == stored
    assert registry.catalog.resolve("kept@production").ref == "kept@1"
    assert registry.runs.get(kept.id).published == "kept@1"
    assert registry.revision() > revision
    assert registry.maintenance.database_problems() == []
    assert registry.search.stale_summaries() == ()


def test_the_remaining_event_reveals_nothing_about_the_guest(
    registry: Registry, train: Callable[..., Run], clock: FakeClock
) -> None:
    run = train("guest-1", "secret")
    clock.now += LATER
    registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    (event,) = registry.catalog.events()
    assert (event.kind, event.actor, event.payload["runs"]) == ("forgotten", "app", 1)
    told = f"{event.entity_id} {event.payload}"
    assert not any(word in told for word in (SECRET, "secret", "guest", run.id))
    assert registry.deleted_runs([run.id, "0" * 32]) == {run.id}


def test_recent_and_active_things_are_kept(
    registry: Registry, train: Callable[..., Run], new_run: MakeRun, clock: FakeClock
) -> None:
    train("guest-1", "old")
    waiting = registry.runs.create(new_run(slug="waits"), actor="guest-1")
    again = registry.runs.create(new_run(slug="old"), actor="guest-2")
    clock.now += LATER
    train("guest-1", "young")
    assert not registry.delete_inactive(GUESTS, before=clock.now - timedelta(days=1), actor="app")
    registry.runs.request_stop(again.id, "cancel")
    deletion = registry.delete_inactive(GUESTS, before=clock.now - timedelta(days=1), actor="app")
    assert deletion.adapters == {"old"}
    assert registry.runs.get(waiting.id).status == "queued"
    assert registry.catalog.resolve("young@1")


def test_a_deletion_without_effect_leaves_no_event(registry: Registry, clock: FakeClock) -> None:
    assert not registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    assert registry.revision() == 0


def test_rows_that_others_use_are_kept(
    registry: Registry, train: Callable[..., Run], new_version: MakeVersion, clock: FakeClock, tmp_path: Path
) -> None:
    run = train("guest-1", "secret", weights=b"shared")
    registry.catalog.publish(
        new_version(b"shared", slug="kept", dataset_id=run.dataset_id, title="Kept"), actor="ann"
    )
    clock.now += LATER
    deletion = registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    assert deletion.datasets == frozenset()
    kept = registry.catalog.resolve("kept")
    assert registry.catalog.read_files(kept)["adapter_model.safetensors"] == b"shared"


def test_deleting_a_run_removes_its_version_from_the_adapter_of_another_owner(
    registry: Registry,
    train: Callable[..., Run],
    new_run: MakeRun,
    new_version: MakeVersion,
    clock: FakeClock,
) -> None:
    train("ann", "kept", word="cat")
    run = registry.runs.create(new_run(slug="kept"), actor="guest-1", worker="w")
    registry.catalog.publish(new_version(b"2", slug="kept", run_id=run.id), actor="guest-1")
    registry.runs.finish(run.lease, "completed")
    registry.aliases.promote("kept@2", "staging", actor="ann")
    clock.now += LATER
    registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    assert [version.ref for version in registry.catalog.versions("kept")] == ["kept@1"]
    assert [alias.alias for alias in registry.aliases.list("kept")] == ["production"]
    assert registry.search.stale_summaries() == ()


def test_a_follower_of_the_catalog_reads_it_completely_after_a_deletion(
    registry: Registry, train: Callable[..., Run], clock: FakeClock
) -> None:
    train("guest-1", "secret")
    revision = registry.revision()
    assert not registry.restored_since(revision)
    clock.now += LATER
    registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    train("guest-1", "secret", weights=b"others")
    assert registry.restored_since(revision)
    changes = registry.catalog.changes_since(revision)
    assert changes.is_complete
    assert [version.ref for version in changes.current] == ["secret@1"]


def test_history_cannot_be_changed_after_a_deletion(
    registry: Registry, train: Callable[..., Run], clock: FakeClock, database: Database
) -> None:
    train("guest-1", "secret")
    clock.now += LATER
    registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    train("ann", "kept")
    for table in ("audit_events", "adapter_versions", "adapters"):
        with pytest.raises(Exception, match="can not be deleted"), database.writing() as session:
            session.execute(text(f"DELETE FROM {table}"))


class KilledAfterTheRows(LocalBlobs):
    """A store whose process is killed before it removes a file."""

    def delete(self, file: object) -> None:
        raise BlobStoreUnreachable(self.root, "killed")


def test_a_deletion_killed_between_rows_and_files_is_completed_by_the_next(
    registry: Registry, train: Callable[..., Run], clock: FakeClock, tmp_path: Path
) -> None:
    train("guest-1", "secret", weights=b"of a guest")
    clock.now += LATER
    killed = Registry(registry._database, KilledAfterTheRows(tmp_path / "artifacts"))
    with pytest.raises(BlobStoreUnreachable):
        killed.delete_inactive(GUESTS, before=clock.now, actor="app")
    assert files(tmp_path / "artifacts")
    assert not registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    assert files(tmp_path / "artifacts") == set()


def test_an_error_during_a_deletion_changes_nothing(
    registry: Registry,
    train: Callable[..., Run],
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train("guest-1", "secret")
    before = rows(registry)
    clock.now += LATER

    def fail(*_given: object, **_named: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("registry.deletion.record_event", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    assert rows(registry) == before
    assert registry.delete_inactive(GUESTS, before=clock.now, actor="app").adapters == {"secret"}


def test_snapshots_continue_after_their_newest_change_and_run_are_deleted(
    registry: Registry, train: Callable[..., Run], clock: FakeClock, tmp_path: Path, url: str
) -> None:
    train("ann", "kept")
    train("guest-1", "secret")
    store = LocalSnapshotStore(tmp_path / "store")
    registry.save_snapshot(store, scratch=tmp_path / "scratch")
    clock.now += LATER
    registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    assert registry.save_snapshot(store, scratch=tmp_path / "scratch").state == registry.state()


@only_sqlite
def test_no_deleted_byte_is_left_in_the_database_files(
    registry: Registry, train: Callable[..., Run], clock: FakeClock, tmp_path: Path
) -> None:
    for number in range(30):  # enough to split pages of the tables
        train(f"guest-{number}", f"secret-{number}", weights=b"%d" % number)
        train("ann", f"kept-{number}", word="cat")
    clock.now += LATER
    registry.delete_inactive(GUESTS, before=clock.now, actor="app")
    registry.close()
    for file in (tmp_path / "data").iterdir():
        assert SECRET.encode() not in file.read_bytes(), file
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "registry.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
