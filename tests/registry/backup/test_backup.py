"""A backup is a single consistent file; a restore brings all of it back or changes nothing."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy import text

from registry import (
    BackupNotWritten,
    BackupUnusable,
    BlobMissing,
    DatabaseTooNew,
    NewEvaluation,
    NewRun,
    NewVersion,
    Registry,
    RegistryNotEmpty,
    RunLost,
)
from registry.backup import restore as restore_module
from registry.backup.backup import DATABASE, MANIFEST
from registry.backup.copying import TABLES, read_rows
from registry.database.alembic_run import alembic_config
from registry.database.clock import utc_now
from registry.database.db import Database, open_engine
from tests.registry.conftest import PostgresServer, only_postgres, only_sqlite
from tests.registry.old_rows import BLOB, FIRST_SCHEMA, ROWS
from tests.registry.processes import Processes

MakeRun = Callable[..., NewRun]
MakeVersion = Callable[..., NewVersion]
Rows = dict[str, list[tuple[Any, ...]]]


def all_rows(registry: Registry) -> Rows:
    """Return every row of every table."""
    with registry._database.reading() as session:
        connection = session.connection()
        return {
            table.name: sorted((tuple(row) for row in read_rows(connection, table)), key=repr)
            for table in TABLES
        }


@pytest.fixture
def filled(registry: Registry, new_run: MakeRun, new_version: MakeVersion) -> Registry:
    """A registry with rows in most tables, including NaN, large counts and unusual texts."""
    run = registry.runs.create(new_run(seed=2**60), worker="w")
    registry.runs.log_metrics(run.id, 1, {"loss": float("nan"), "accuracy": 0.1 + 0.2})
    registry.runs.log_metrics(run.id, 2, {"loss": float("inf"), "accuracy": 1e-300})
    registry.runs.finish(run.lease, "completed", note="tab\tand \\N and\nnew line; 'quotes' and \"doubles\"")
    evaluation = NewEvaluation("test", 4, 0.5, 0.25, 0.75)
    registry.catalog.publish(new_version(run_id=run.id, evaluations=(evaluation,)), actor="änn")
    registry.catalog.publish(new_version(b"other", title="猫 and 犬 🐕"), actor="bob")
    registry.catalog.withdraw("pets", 2, "mislabelled", actor="bob")
    registry.runs.create(new_run(slug="queued"))
    return registry


@pytest.fixture
def empty(tmp_path: Path) -> Registry:
    """Another registry, on SQLite."""
    return Registry.open(f"sqlite:///{tmp_path / 'empty' / 'registry.db'}", tmp_path / "empty" / "artifacts")


def restore(registry: Registry, file: Path, tmp_path: Path, *, replace: bool = False) -> Any:
    return registry.restore(file, replace=replace, keep_in=tmp_path / "kept", actor="shell")


def rewritten(file: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Return a copy of a backup with changed entries and a matching manifest."""
    with ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    manifest = json.loads(entries[MANIFEST])
    database = entries[DATABASE]
    manifest["database"] = {"sha256": hashlib.sha256(database).hexdigest(), "size": len(database)}
    manifest["blobs"] = {name.partition("/")[2]: len(entries[name]) for name in entries if "/" in name}
    entries[MANIFEST] = json.dumps(manifest).encode()
    with ZipFile(target, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return target


def on_its_database(tmp_path: Path, statement: str) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        file = tmp_path / "changed.db"
        file.write_bytes(entries[DATABASE])
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(statement)
        entries[DATABASE] = file.read_bytes()
        file.unlink()

    return change


def test_a_backup_holds_every_row_and_every_published_file(
    filled: Registry, empty: Registry, tmp_path: Path
) -> None:
    backup = filled.backup(tmp_path / "backup.zip")
    assert (backup.contents.adapters, backup.contents.versions, backup.contents.runs) == (1, 2, 2)
    assert backup.size == (tmp_path / "backup.zip").stat().st_size
    assert backup.missing == ()

    restored = restore(empty, tmp_path / "backup.zip", tmp_path)
    assert (restored.contents, restored.replaced, restored.kept) == (backup.contents, None, None)
    assert all_rows(empty) == all_rows(filled)
    for version in filled.catalog.versions("pets"):
        assert empty.catalog.read_files(version) == filled.catalog.read_files(version)
    assert {file.name for file in tmp_path.glob("*backup*")} == {"backup.zip"}


@only_sqlite
def test_a_backup_can_be_read_by_any_zip_program_and_lists_its_contents(
    filled: Registry, tmp_path: Path
) -> None:
    filled.backup(tmp_path / "backup.zip")
    with ZipFile(tmp_path / "backup.zip") as archive:
        manifest = json.loads(archive.read(MANIFEST))
        assert archive.testzip() is None
        assert set(archive.namelist()) == {MANIFEST, DATABASE, *(f"blobs/{one}" for one in manifest["blobs"])}
        assert hashlib.sha256(archive.read(DATABASE)).hexdigest() == manifest["database"]["sha256"]
        for digest in manifest["blobs"]:
            assert hashlib.sha256(archive.read(f"blobs/{digest}")).hexdigest() == digest


@only_postgres
def test_a_restore_into_postgresql_and_back_keeps_every_row(
    filled: Registry, empty: Registry, postgres: PostgresServer, tmp_path: Path
) -> None:
    filled.backup(tmp_path / "one.zip")
    restore(empty, tmp_path / "one.zip", tmp_path)
    empty.backup(tmp_path / "two.zip")
    url = postgres.create()
    with Registry.open(url, tmp_path / "other") as server:
        restore(server, tmp_path / "two.zip", tmp_path)
        assert all_rows(server) == all_rows(empty) == all_rows(filled)
        # the next ids follow the restored ones
        server.catalog.archive("pets", actor="ann")
        assert server.revision() == empty.revision() + 1
    postgres.drop(url)


def test_a_registry_that_is_not_empty_is_only_replaced_on_request(filled: Registry, tmp_path: Path) -> None:
    filled.backup(tmp_path / "backup.zip")
    before = all_rows(filled)
    with pytest.raises(
        RegistryNotEmpty, match="already holds 1 adapters, 2 versions and 2 runs. Restore with --replace"
    ):
        restore(filled, tmp_path / "backup.zip", tmp_path)
    assert all_rows(filled) == before
    assert not (tmp_path / "kept").exists()


def test_replaced_contents_are_kept_and_can_be_restored(
    filled: Registry, new_version: MakeVersion, tmp_path: Path
) -> None:
    filled.backup(tmp_path / "backup.zip")
    at_backup = all_rows(filled)
    filled.catalog.publish(new_version(b"later"), actor="eve")
    later, revision = all_rows(filled), filled.revision()

    restored = restore(filled, tmp_path / "backup.zip", tmp_path, replace=True)
    assert restored.replaced.versions == 3
    assert restored.contents.versions == 2
    now = all_rows(filled)
    (told,) = set(now.pop("audit_events")) - set(at_backup.pop("audit_events"))
    assert now == at_backup
    # pages poll this number, so it never decreases
    assert filled.revision() == told[0] > revision
    (event,) = filled.catalog.events(limit=1)
    assert (event.kind, event.actor, event.entity) == ("restored", "shell", "registry")
    assert event.payload["replaced"] == "1 adapters, 3 versions and 2 runs"

    restore(filled, restored.kept, tmp_path, replace=True)
    again = all_rows(filled)
    assert set(again.pop("audit_events")) > set(later.pop("audit_events"))
    assert again == later
    assert filled.catalog.read_files(filled.catalog.resolve("pets@3"))


def test_history_cannot_be_changed_after_a_restore(filled: Registry, tmp_path: Path) -> None:
    filled.backup(tmp_path / "backup.zip")
    restore(filled, tmp_path / "backup.zip", tmp_path, replace=True)
    for statement in ("DELETE FROM audit_events", "UPDATE adapter_versions SET config = '{}'"):
        refused = pytest.raises(sa.exc.IntegrityError, match="can not be")
        with refused, filled._database.writing() as session:
            session.execute(text(statement))


def test_a_worker_loses_its_run_even_if_the_backup_contains_it(
    filled: Registry, new_run: MakeRun, tmp_path: Path
) -> None:
    known = filled.runs.create(new_run(), worker="one")
    filled.backup(tmp_path / "backup.zip")
    unknown = filled.runs.create(new_run(), worker="other")

    assert restore(filled, tmp_path / "backup.zip", tmp_path, replace=True).interrupted == 1
    for run in (known, unknown):
        with pytest.raises(RunLost):
            filled.runs.record_heartbeat(run.lease)
    ended = filled.runs.get(known.id)
    assert ended.status == "interrupted"
    assert ended.error is not None and "restored" in ended.error
    assert filled.runs.requeue(known.id).status == "queued"


def test_other_connections_see_either_the_old_or_the_new_contents(
    filled: Registry, new_version: MakeVersion, url: str, tmp_path: Path
) -> None:
    for number in range(10):
        filled.catalog.publish(new_version(f"weights {number}".encode()), actor="ann")
    filled.backup(tmp_path / "many.zip")
    with Registry.open(url, tmp_path / "artifacts") as other:
        seen: set[tuple[int, int, int]] = set()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                with other._database.reading() as session:
                    counts = [
                        session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
                        for table in ("adapter_versions", "version_files", "adapter_summaries")
                    ]
                seen.add((counts[0], counts[1], counts[2]))

        watcher = threading.Thread(target=look)
        watcher.start()
        for _ in range(5):
            restore(filled, tmp_path / "many.zip", tmp_path, replace=True)
        done.set()
        watcher.join()
        assert seen == {(12, 24, 1)}
        assert len(other.catalog.versions("pets")) == 12


def test_a_backup_made_while_others_publish_is_consistent(
    url: str, tmp_path: Path, empty: Registry, processes: Processes
) -> None:
    publisher = processes.publisher(url, tmp_path / "artifacts", "busy")
    publisher.wait_for(3)
    acknowledged = publisher.acknowledged()
    with Registry.open(url, tmp_path / "artifacts") as registry:
        backup = registry.backup(tmp_path / "backup.zip")
    publisher.killed()

    restore(empty, tmp_path / "backup.zip", tmp_path)
    versions = empty.catalog.versions("shared")
    assert backup.missing == ()
    assert set(acknowledged) <= {version.ref for version in versions}
    assert [version.version for version in versions] == list(range(len(versions), 0, -1))
    for version in versions:
        content = empty.catalog.read_files(version)
        assert content["adapter_model.safetensors"] == content["task.json"] * 1000


@only_sqlite
def test_a_lost_file_does_not_prevent_the_backup_of_the_others(
    filled: Registry, empty: Registry, tmp_path: Path
) -> None:
    lost, kept = filled.catalog.versions("pets")
    Path(filled.blobs.path(lost.weights_sha256)).unlink()
    backup = filled.backup(tmp_path / "backup.zip")
    assert len(backup.missing) == 1
    assert lost.weights_sha256 in backup.missing[0]

    assert restore(empty, tmp_path / "backup.zip", tmp_path).missing == (lost.weights_sha256,)
    assert empty.catalog.read_files(kept)
    with pytest.raises(BlobMissing):
        empty.catalog.read_files(lost)


@only_sqlite
def test_a_restore_repairs_a_damaged_file(filled: Registry, tmp_path: Path) -> None:
    filled.backup(tmp_path / "backup.zip")
    version = filled.catalog.versions("pets")[0]
    Path(filled.blobs.path(version.weights_sha256)).write_bytes(b"damaged")
    restore(filled, tmp_path / "backup.zip", tmp_path, replace=True)
    assert filled.catalog.read_files(version)["adapter_model.safetensors"] == b"other"


def test_a_backup_of_an_older_schema_is_upgraded(registry: Registry, tmp_path: Path) -> None:
    registry.backup(tmp_path / "new.zip")
    old = Database(open_engine(f"sqlite:///{tmp_path / 'old.db'}"), utc_now)
    with old.writer.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        for name, rows in ROWS["0001"].items():
            connection.execute(sa.insert(sa.table(name, *[sa.column(key) for key in rows[0]])), rows)
    old.engine.dispose()

    def change(entries: dict[str, bytes]) -> None:
        entries[DATABASE] = (tmp_path / "old.db").read_bytes()
        manifest = json.loads(entries[MANIFEST])
        entries[MANIFEST] = json.dumps({**manifest, "schema": "0001", "lacking": [BLOB]}).encode()

    restore(registry, rewritten(tmp_path / "new.zip", tmp_path / "old.zip", change), tmp_path)
    assert [adapter.slug for adapter in registry.catalog.adapters()] == ["flowers", "pets"]
    assert registry.revision() == len(FIRST_SCHEMA["audit_events"])


@only_sqlite
def test_a_backup_of_a_newer_program_is_refused(filled: Registry, tmp_path: Path) -> None:
    filled.backup(tmp_path / "backup.zip")
    newer = on_its_database(tmp_path, "UPDATE alembic_version SET version_num = '9999'")
    file = rewritten(tmp_path / "backup.zip", tmp_path / "newer.zip", newer)
    with pytest.raises(DatabaseTooNew, match="9999"):
        restore(filled, file, tmp_path, replace=True)


@only_sqlite
def test_a_flipped_bit_anywhere_is_refused_and_changes_nothing(
    filled: Registry, empty: Registry, tmp_path: Path
) -> None:
    filled.backup(tmp_path / "backup.zip")
    whole = (tmp_path / "backup.zip").read_bytes()
    broken = tmp_path / "broken.zip"
    with ZipFile(tmp_path / "backup.zip") as archive:
        contents = [archive.read(name) for name in archive.namelist()]
    for content in contents:
        damaged = bytearray(whole)
        damaged[whole.index(content) + len(content) // 2] ^= 1
        broken.write_bytes(damaged)
        with pytest.raises(BackupUnusable, match="Use another backup"):
            restore(empty, broken, tmp_path)
    assert not any(all_rows(empty).values())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda entries: entries.update({"../evil": b""}), "differ from those in its manifest"),
        (lambda entries: entries.update({"blobs/" + "a" * 64: b"other"}), "is damaged"),
        (lambda entries: entries.update({"blobs/../../x": b""}), "is damaged"),
        (lambda entries: entries.update({DATABASE: b"no database at all"}), "not a database"),
        (
            lambda entries: entries.pop(next(name for name in entries if "/" in name)),
            "refers to files that it",
        ),
    ],
)
@only_sqlite
def test_a_backup_with_other_entries_is_refused(
    filled: Registry, empty: Registry, tmp_path: Path, change: Callable[[dict[str, bytes]], None], reason: str
) -> None:
    filled.backup(tmp_path / "backup.zip")
    file = rewritten(tmp_path / "backup.zip", tmp_path / "changed.zip", change)
    with pytest.raises(BackupUnusable, match=reason):
        restore(empty, file, tmp_path)
    assert not any(all_rows(empty).values())


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("PRAGMA foreign_keys=OFF; DELETE FROM bases;", "refers to rows that it does not hold"),
        ("DROP TABLE alembic_version;", "not a registry"),
        ("DELETE FROM alembic_version;", "not a registry"),
        ("DROP TABLE run_params;", "the table run_params"),
    ],
)
@only_sqlite
def test_a_backup_with_another_database_is_refused(
    filled: Registry, empty: Registry, tmp_path: Path, statement: str, reason: str
) -> None:
    filled.backup(tmp_path / "backup.zip")
    change = on_its_database(tmp_path, statement)
    file = rewritten(tmp_path / "backup.zip", tmp_path / "changed.zip", change)
    with pytest.raises(BackupUnusable, match=reason):
        restore(empty, file, tmp_path)
    assert not any(all_rows(empty).values())


def test_rows_that_break_a_rule_are_refused_by_the_database_and_nothing_changes(
    filled: Registry, tmp_path: Path
) -> None:
    filled.backup(tmp_path / "backup.zip")
    before = all_rows(filled)
    lawless = (
        "PRAGMA writable_schema=ON;"
        "UPDATE sqlite_master SET sql = replace(sql, 'progress BETWEEN 0 AND 1', '1');"
        "PRAGMA writable_schema=RESET; UPDATE runs SET progress = 7;"
    )
    file = rewritten(tmp_path / "backup.zip", tmp_path / "changed.zip", on_its_database(tmp_path, lawless))
    with pytest.raises(BackupUnusable, match="its rows break a rule: .*ck_runs_progress"):
        restore(filled, file, tmp_path, replace=True)
    assert all_rows(filled) == before
    assert list((tmp_path / "kept").iterdir()) == []


@only_sqlite
def test_a_compressed_backup_and_other_files_are_refused(
    filled: Registry, empty: Registry, tmp_path: Path
) -> None:
    filled.backup(tmp_path / "backup.zip")
    with (
        ZipFile(tmp_path / "backup.zip") as archive,
        ZipFile(tmp_path / "packed.zip", "w", ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("task.json", "{}")
    (tmp_path / "notes.txt").write_text("my notes")
    for name, reason in {
        "packed.zip": "compressed or encrypted",
        "other.zip": "not a backup of a registry",
        "notes.txt": "not a zip file",
        "missing.zip": "No such file",
        "empty": "Is a directory",
    }.items():
        with pytest.raises(BackupUnusable, match=reason):
            restore(empty, tmp_path / name, tmp_path)


def test_a_restore_killed_before_its_end_changes_nothing(
    filled: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.backup(tmp_path / "backup.zip")
    before = all_rows(filled)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restore_module, "_record", stop)
    with pytest.raises(KeyboardInterrupt):
        restore(filled, tmp_path / "backup.zip", tmp_path, replace=True)
    assert all_rows(filled) == before
    assert list((tmp_path / "kept").iterdir()) == []


@only_sqlite
def test_a_folder_that_cannot_be_written_is_reported(filled: Registry, tmp_path: Path) -> None:
    with pytest.raises(BackupNotWritten, match="No such file or directory"):
        filled.backup(tmp_path / "nowhere" / "backup.zip")
    (tmp_path / "kept").write_text("in the way")
    filled.backup(tmp_path / "backup.zip")
    with pytest.raises(BackupNotWritten, match="File exists"):
        restore(filled, tmp_path / "backup.zip", tmp_path, replace=True)


@only_sqlite
def test_a_failed_backup_keeps_the_previous_one(
    filled: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.backup(tmp_path / "backup.zip")
    before = (tmp_path / "backup.zip").read_bytes()

    def full(_digest: str) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(filled.blobs, "read", full)
    with pytest.raises(BackupNotWritten, match="No space left on device"):
        filled.backup(tmp_path / "backup.zip")
    assert (tmp_path / "backup.zip").read_bytes() == before
    assert not list(tmp_path.glob(".backup*"))
