"""A snapshot is complete or absent, stored files are reused, and the newest intact one is restored."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from registry import (
    BackupUnusable,
    BlobNotStored,
    DatabaseTooNew,
    NewRun,
    NewVersion,
    Registry,
    RestoredSnapshot,
    Snapshot,
    SnapshotNotWritten,
    SnapshotsOfAnother,
    SnapshotStore,
    newest_snapshot,
    open_snapshot_store,
)
from tests.registry.conftest import FakeClock, only_sqlite

ROOT = Path(__file__).resolve().parents[3]

MakeRun = Callable[..., NewRun]
MakeVersion = Callable[..., NewVersion]


@pytest.fixture(params=["folder", "memory"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A mounted folder, or an object store."""
    return str(tmp_path / "store") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def store(address: str) -> SnapshotStore:
    return open_snapshot_store(address)


@pytest.fixture
def folder_store(tmp_path: Path) -> SnapshotStore:
    return open_snapshot_store(str(tmp_path / "store"))


@pytest.fixture
def empty(tmp_path: Path, clock: FakeClock) -> Registry:
    """A new registry, as the app creates it on an empty disk."""
    folder = tmp_path / "empty"
    return Registry.open(f"sqlite:///{folder / 'registry.db'}", folder / "artifacts", clock=clock)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def publish(registry: Registry, new_version: MakeVersion) -> Callable[[bytes], str]:
    return lambda weights: registry.catalog.publish(new_version(weights), actor="ann").ref


Publish = Callable[[bytes], str]


def restore(registry: Registry, store: SnapshotStore, scratch: Path) -> RestoredSnapshot:
    done = registry.restore_snapshot(store, scratch=scratch, actor="test")
    assert done is not None
    return done


def files_of(registry: Registry) -> dict[str, bytes]:
    """Return the weights of every version."""
    return {
        version.ref: registry.catalog.read_files(version)["adapter_model.safetensors"]
        for version in registry.catalog.versions("pets")
    }


def test_every_version_and_run_is_restored_into_an_empty_registry(
    registry: Registry,
    empty: Registry,
    store: SnapshotStore,
    scratch: Path,
    publish: Publish,
    new_run: MakeRun,
) -> None:
    publish(b"one")
    publish(b"two")
    run = registry.runs.create(new_run(), worker="w")
    saved = registry.save_snapshot(store, scratch=scratch)

    done = restore(empty, store, scratch)

    assert done.snapshot == saved
    assert (done.skipped, done.missing) == ((), ())
    assert files_of(empty) == {"pets@1": b"one", "pets@2": b"two"}
    assert empty.runs.get(run.id).status == "interrupted"
    assert empty.revision() == registry.revision()
    assert list(scratch.iterdir()) == []


def test_a_registry_that_is_not_empty_is_left_alone(
    registry: Registry, store: SnapshotStore, scratch: Path, publish: Publish
) -> None:
    publish(b"one")
    registry.save_snapshot(store, scratch=scratch)
    publish(b"two")
    assert registry.restore_snapshot(store, scratch=scratch, actor="test") is None
    assert set(files_of(registry)) == {"pets@1", "pets@2"}


def test_an_empty_store_leaves_the_registry_empty(
    empty: Registry, store: SnapshotStore, scratch: Path
) -> None:
    done = restore(empty, store, scratch)
    assert (done.snapshot, done.skipped) == (None, ())


def test_a_stored_file_is_not_written_again(
    registry: Registry, store: SnapshotStore, scratch: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(b"one")
    registry.save_snapshot(store, scratch=scratch)
    publish(b"two")
    written: list[bytes] = []
    put = type(store.blobs).put_bytes
    monkeypatch.setattr(
        type(store.blobs), "put_bytes", lambda self, data: (written.append(data), put(self, data))[1]
    )
    registry.save_snapshot(store, scratch=scratch)
    assert [data for data in written if not data.startswith(b"SQLite")] == [b"two"]


def test_the_newest_three_are_kept_and_unreferenced_files_are_removed(
    registry: Registry, empty: Registry, store: SnapshotStore, scratch: Path, publish: Publish
) -> None:
    names = []
    for number in range(5):
        publish(str(number).encode())
        names.append(registry.save_snapshot(store, scratch=scratch).name)
        registry.prune_snapshots(store)
    assert store.names() == names[:1:-1]
    databases = [file for file in store.blobs.list() if file.size > 10_000]
    assert len(databases) == 3
    restore(empty, store, scratch)
    assert len(files_of(empty)) == 5


def test_a_file_that_may_belong_to_a_snapshot_in_progress_is_kept_for_an_hour(
    registry: Registry, store: SnapshotStore, scratch: Path, publish: Publish, clock: FakeClock
) -> None:
    publish(b"one")
    registry.save_snapshot(store, scratch=scratch)
    left = store.blobs.put_bytes(b"left by a killed process").sha256
    (file,) = (file for file in store.blobs.list() if file.sha256 == left)
    written = store.blobs.modified(file)
    assert written is not None
    clock.now = written + timedelta(minutes=59)
    registry.prune_snapshots(store)
    assert store.blobs.has(left)
    clock.now = written + timedelta(minutes=61)
    registry.prune_snapshots(store)
    assert not store.blobs.has(left)


def two_snapshots(
    registry: Registry, store: SnapshotStore, scratch: Path, publish: Publish
) -> tuple[Snapshot, Snapshot]:
    publish(b"one")
    first = registry.save_snapshot(store, scratch=scratch)
    publish(b"two")
    return first, registry.save_snapshot(store, scratch=scratch)


def stored(store: SnapshotStore, digest: str) -> Path:
    return Path(store.root) / f"blobs/sha256/{digest[:2]}/{digest}"


def cut_the_document(store: SnapshotStore, snapshot: Snapshot) -> None:
    path = Path(store.root) / snapshot.name
    path.write_bytes(path.read_bytes()[:-20])


def damage_the_database(store: SnapshotStore, snapshot: Snapshot) -> None:
    path = stored(store, snapshot.manifest.database_sha256)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lose_the_database(store: SnapshotStore, snapshot: Snapshot) -> None:
    stored(store, snapshot.manifest.database_sha256).unlink()


@only_sqlite
@pytest.mark.parametrize("harm", [cut_the_document, damage_the_database, lose_the_database])
def test_a_damaged_snapshot_is_reported_and_the_previous_one_restored(
    registry: Registry,
    empty: Registry,
    folder_store: SnapshotStore,
    scratch: Path,
    publish: Publish,
    harm: Callable[[SnapshotStore, Snapshot], None],
) -> None:
    first, second = two_snapshots(registry, folder_store, scratch, publish)
    harm(folder_store, second)

    done = restore(empty, folder_store, scratch)

    assert done.snapshot == first
    assert files_of(empty) == {"pets@1": b"one"}
    assert done.damaged == {second.name}
    (sentence,) = map(str, done.skipped)
    assert second.name in sentence
    assert "cannot be restored" in sentence
    # and the restored registry can be saved in the same store
    saved = empty.save_snapshot(folder_store, scratch=scratch, damaged=done.damaged)
    assert saved.name > second.name
    assert newest_snapshot(folder_store) == saved


@only_sqlite
def test_a_snapshot_with_a_lost_file_is_skipped_for_a_complete_one(
    registry: Registry, empty: Registry, folder_store: SnapshotStore, scratch: Path, publish: Publish
) -> None:
    first, second = two_snapshots(registry, folder_store, scratch, publish)
    (added,) = set(second.manifest.blobs) - set(first.manifest.blobs)
    stored(folder_store, added).unlink()
    assert restore(empty, folder_store, scratch).snapshot == first


@only_sqlite
def test_if_every_snapshot_lacks_a_file_the_newest_is_restored_without_it(
    registry: Registry, empty: Registry, folder_store: SnapshotStore, scratch: Path, publish: Publish
) -> None:
    first, second = two_snapshots(registry, folder_store, scratch, publish)
    (of_one,) = (d for d in first.manifest.blobs if stored(folder_store, d).read_bytes() == b"one")
    stored(folder_store, of_one).write_bytes(b"eno")
    done = restore(empty, folder_store, scratch)
    assert done.snapshot == second
    assert done.missing == (of_one,)
    newest = empty.catalog.resolve("pets@2")
    assert empty.catalog.read_files(newest)["adapter_model.safetensors"] == b"two"


@only_sqlite
def test_if_no_snapshot_can_be_restored_each_is_reported_and_the_registry_stays_empty(
    registry: Registry, empty: Registry, folder_store: SnapshotStore, scratch: Path, publish: Publish
) -> None:
    for snapshot in two_snapshots(registry, folder_store, scratch, publish):
        lose_the_database(folder_store, snapshot)
    done = restore(empty, folder_store, scratch)
    assert done.snapshot is None
    assert all(isinstance(error, BackupUnusable) for error in done.skipped)
    assert len(done.skipped) == 2
    assert empty.revision() == 0


@only_sqlite
def test_a_snapshot_of_a_newer_program_is_not_skipped(
    registry: Registry, empty: Registry, folder_store: SnapshotStore, scratch: Path, publish: Publish
) -> None:
    _, second = two_snapshots(registry, folder_store, scratch, publish)
    import sqlite3

    copy = scratch / "newer.db"
    copy.write_bytes(folder_store.blobs.read(second.manifest.database_sha256))
    with sqlite3.connect(copy) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    database = folder_store.blobs.put_file(copy)
    document = json.loads(folder_store.read(second.name))
    document["database"] = {"sha256": database.sha256, "size": database.size}
    put_document(folder_store, 9, document)
    with pytest.raises(DatabaseTooNew):
        restore(empty, folder_store, scratch)
    assert empty.revision() == 0


def put_document(store: SnapshotStore, number: int, document: object) -> None:
    from hashlib import sha256

    data = json.dumps(document).encode()
    store.put(f"{number:08}-20260101T000000Z-{sha256(data).hexdigest()[:16]}.json", data)


@pytest.mark.parametrize("document", [[], {}, {"format": "loravit-web backup"}, "text", 1])
def test_a_document_that_is_not_a_snapshot_is_skipped(
    registry: Registry, store: SnapshotStore, scratch: Path, publish: Publish, document: object
) -> None:
    publish(b"one")
    saved = registry.save_snapshot(store, scratch=scratch)
    put_document(store, 9, document)
    assert newest_snapshot(store) == saved


@only_sqlite
def test_snapshots_of_another_registry_are_never_pruned(
    registry: Registry, empty: Registry, store: SnapshotStore, scratch: Path, publish: Publish
) -> None:
    publish(b"one")
    saved = registry.save_snapshot(store, scratch=scratch)
    with pytest.raises(SnapshotsOfAnother, match="of another registry"):
        empty.save_snapshot(store, scratch=scratch)
    assert store.names() == [saved.name]


@only_sqlite
def test_a_registry_that_a_backup_replaced_can_still_be_saved(
    registry: Registry, empty: Registry, store: SnapshotStore, scratch: Path, publish: Publish, tmp_path: Path
) -> None:
    publish(b"one")
    registry.save_snapshot(store, scratch=scratch)
    empty.backup(tmp_path / "other.zip")
    registry.restore(tmp_path / "other.zip", replace=True, keep_in=tmp_path / "kept", actor="shell")
    registry.save_snapshot(store, scratch=scratch)
    assert len(store.names()) == 2


@only_sqlite
def test_the_state_changes_with_catalog_and_runs_but_not_with_usage(
    registry: Registry, publish: Publish, new_run: MakeRun
) -> None:
    states = [registry.state()]
    publish(b"one")
    states.append(registry.state())
    run = registry.runs.create(new_run(), worker="w")
    states.append(registry.state())
    registry.runs.record_heartbeat(run.lease)
    states.append(registry.state())
    registry.runs.finish(run.lease, "completed")
    states.append(registry.state())
    assert len(set(states)) == len(states)
    assert registry.state() == states[-1]


@only_sqlite
def test_a_lost_file_is_noted_and_the_rest_is_saved(
    registry: Registry, empty: Registry, store: SnapshotStore, scratch: Path, publish: Publish
) -> None:
    publish(b"one")
    publish(b"two")
    assert registry.blobs.folder is not None
    (lost,) = (p for p in registry.blobs.folder.rglob("*") if p.is_file() and p.read_bytes() == b"one")
    lost.unlink()
    assert registry.save_snapshot(store, scratch=scratch).manifest.missing == (lost.name,)
    assert restore(empty, store, scratch).missing == (lost.name,)


@only_sqlite
def test_a_damaged_database_does_not_replace_intact_snapshots(
    registry: Registry, store: SnapshotStore, scratch: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(b"one")
    saved = registry.save_snapshot(store, scratch=scratch)
    write = sys.modules["registry.backup.snapshots"].write_snapshot

    def damaged(database: object, target: Path) -> None:
        write(database, target)
        data = bytearray(target.read_bytes())
        data[4096:8192] = b"\xff" * 4096
        target.write_bytes(data)

    monkeypatch.setattr("registry.backup.snapshots.write_snapshot", damaged)
    publish(b"two")
    with pytest.raises(SnapshotNotWritten, match="damaged"):
        registry.save_snapshot(store, scratch=scratch)
    assert store.names() == [saved.name]


@only_sqlite
def test_a_store_that_refuses_a_document_keeps_its_snapshots(
    registry: Registry,
    folder_store: SnapshotStore,
    scratch: Path,
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish(b"one")
    saved = registry.save_snapshot(folder_store, scratch=scratch)
    publish(b"two")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(BlobNotStored, match="full"):
        registry.save_snapshot(folder_store, scratch=scratch)
    monkeypatch.undo()
    assert folder_store.names() == [saved.name]


@only_sqlite
def test_after_a_kill_at_any_moment_the_old_or_the_new_snapshot_can_be_restored(
    registry: Registry, url: str, tmp_path: Path, scratch: Path, publish: Publish
) -> None:
    publish(b"one")
    store = tmp_path / "store"
    registry.save_snapshot(open_snapshot_store(str(store)), scratch=scratch)
    publish(b"two")
    script = str(Path(__file__).with_name("killed_snapshot.py"))
    arguments = [url, str(tmp_path / "artifacts"), str(store), str(tmp_path / "restored")]
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *killed, last = done.stdout.split()
    assert len(killed) >= 6
    assert killed[0] == "pets@1"
    assert killed == sorted(killed)
    assert last == "pets@2"
