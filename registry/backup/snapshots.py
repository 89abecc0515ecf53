"""Snapshots of a whole registry in a store: each is a small document that names a database and files.

Database and files are stored by content, so unchanged ones are not written again. The document is stored
last, when everything it names is stored. If the process is killed before that, there is no snapshot.
"""

import json
import logging
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import select

from registry.backup.backup import DATABASE, Manifest, raising_backup_not_written, read_manifest
from registry.backup.copying import Contents, blobs_of, contents, opened_snapshot, write_snapshot
from registry.backup.errors import BackupNotWritten, BackupUnusable, SnapshotNotWritten, SnapshotsOfAnother
from registry.backup.restore import Checked, prepare_snapshot, replace_contents
from registry.backup.snapshot_store import SnapshotStore
from registry.backup.state import State, has_been_at, read_state, state_of
from registry.blobs.errors import BlobDamaged, BlobMissing
from registry.blobs.store import BlobStore, StoredFile
from registry.database.canonical import canonical_json
from registry.database.db import Database
from registry.database.migrate import head
from registry.database.models import BlobRow

KEPT = 3
IN_PROGRESS = timedelta(hours=1)
"""An unreferenced file that was written within this time may belong to a snapshot in progress."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot in a store."""

    name: str
    manifest: Manifest
    state: State

    def __str__(self) -> str:
        return f"the snapshot of {self.manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class RestoredSnapshot:
    """The outcome of restoring a snapshot.

    Attributes:
        snapshot: the restored snapshot; None if none could be restored.
        contents: what the registry holds now.
        skipped: for each newer snapshot that is damaged, what is wrong with it.
        damaged: the names of those snapshots.
        missing: digests of lost files that the restored snapshot refers to.
    """

    snapshot: Snapshot | None
    contents: Contents
    skipped: tuple[BackupUnusable, ...] = ()
    damaged: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()


def save_snapshot(
    database: Database,
    blobs: BlobStore,
    store: SnapshotStore,
    *,
    scratch: Path,
    damaged: Collection[str] = (),
) -> Snapshot:
    """Write what the registry holds at this moment as a snapshot. Others can use the registry meanwhile.

    Args:
        database: the database of the registry.
        blobs: the store of the registry.
        store: where the snapshot is stored.
        scratch: a folder for a temporary copy of the database.
        damaged: names of snapshots that are known to be damaged.

    Raises:
        SnapshotsOfAnother: if the newest snapshot holds what this registry never held.
        SnapshotNotWritten: if the database cannot be copied or is damaged.
        BlobNotStored: if the store refuses a file.
        BlobStoreUnreachable: if the store does not answer.
    """
    names = store.names()
    _refuse_another(database, store, [name for name in names if name not in damaged])
    number = int(names[0].partition("-")[0]) + 1 if names else 1
    try:
        with raising_backup_not_written(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=scratch) as folder:
                manifest, state = _store(database, blobs, store.blobs, Path(folder) / DATABASE)
    except BackupNotWritten as error:
        raise SnapshotNotWritten(store.root, error.reason) from error
    document = canonical_json({**manifest.as_json(), "state": state.as_json()}).encode()
    time = f"{manifest.taken_at:%Y%m%dT%H%M%SZ}"
    name = f"{number:08}-{time}-{sha256(document).hexdigest()[:16]}.json"
    store.put(name, document)
    return Snapshot(name, manifest, state)


def _refuse_another(database: Database, store: SnapshotStore, names: list[str]) -> None:
    newest = _newest(store, names)
    if newest is None:
        return
    with database.reading() as session:
        if not has_been_at(session, newest.state):
            raise SnapshotsOfAnother(store.root, newest.name)


def _store(database: Database, live: BlobStore, kept: BlobStore, copy: Path) -> tuple[Manifest, State]:
    """Store a copy of the database and all its files, and check that they can be read."""
    taken_at = database.now()
    write_snapshot(database, copy)
    with closing(sqlite3.connect(copy)) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise BackupNotWritten(copy, f"the database is damaged: {found}")
    with opened_snapshot(copy) as opened, opened.reading() as session:
        needed = blobs_of(session.connection())
        recorded = session.execute(select(BlobRow.sha256, BlobRow.size)).all()
        state = state_of(session)
    sizes = {digest: size for digest, size in recorded if digest in set(needed)}
    missing = _copy_files(live, kept, sizes)
    stored = kept.put_file(copy)
    kept.read(stored.sha256, fresh=True)
    copied = {digest: size for digest, size in sizes.items() if digest not in missing}
    return Manifest(head(), taken_at, stored.sha256, stored.size, copied, tuple(sorted(missing))), state


def _copy_files(live: BlobStore, kept: BlobStore, sizes: dict[str, int]) -> set[str]:
    """Copy the files that are not stored yet, and return the digests of those that cannot be read."""
    stored = {file.sha256: file.size for file in kept.list()}
    missing = set()
    for digest, size in sizes.items():
        if stored.get(digest) == size:
            continue
        try:
            kept.put_bytes(live.read(digest))
        except (BlobMissing, BlobDamaged) as error:
            _LOG.warning("Not in the snapshot: %s", error)
            missing.add(digest)
    return missing


def newest_snapshot(store: SnapshotStore) -> Snapshot | None:
    """Return the newest snapshot whose document can be read; None if there is none.

    Raises:
        BlobStoreUnreachable: if the store does not answer.
    """
    return _newest(store, store.names())


def _newest(store: SnapshotStore, names: list[str]) -> Snapshot | None:
    for name in names:
        try:
            return _read(store, name)
        except BackupUnusable:
            continue
    return None


def _read(store: SnapshotStore, name: str) -> Snapshot:
    """Return the snapshot that a document describes, or raise BackupUnusable."""
    where = f"The snapshot {store.root}/{name}"
    try:
        data = store.read(name)
    except BlobMissing as error:
        raise BackupUnusable(where, error.reason) from error
    if sha256(data).hexdigest()[:16] != name.rpartition("-")[2].removesuffix(".json"):
        raise BackupUnusable(where, "its document is incomplete or was changed")
    try:
        return Snapshot(name, read_manifest(data), read_state(json.loads(data)["state"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BackupUnusable(where, str(error)) from error


def prune_snapshots(
    database: Database, store: SnapshotStore, *, keep: int = KEPT, damaged: Collection[str] = ()
) -> None:
    """Remove all but the newest intact snapshots, and files that no remaining one refers to.

    Args:
        database: the database of the registry, whose clock is used.
        store: where the snapshots are stored.
        keep: how many intact snapshots to keep.
        damaged: names of snapshots that are known to be damaged.

    Raises:
        BlobStoreUnreachable: if the store does not answer.
    """
    kept: list[Snapshot] = []
    released: set[str] = set()
    for name in store.names():
        try:
            snapshot = _read(store, name)
        except BackupUnusable:
            snapshot = None
        if sum(newer.name not in damaged for newer in kept) >= keep:
            store.delete(name)
            released |= _files(snapshot)
        elif snapshot is not None:
            kept.append(snapshot)
    used = {digest for snapshot in kept for digest in _files(snapshot)}
    for file in store.blobs.list():
        if file.sha256 not in used and (file.sha256 in released or _is_old(database, store, file)):
            store.blobs.delete(file)


def _files(snapshot: Snapshot | None) -> set[str]:
    return {snapshot.manifest.database_sha256, *snapshot.manifest.blobs} if snapshot is not None else set()


def _is_old(database: Database, store: SnapshotStore, file: StoredFile) -> bool:
    written = store.blobs.modified(file)
    return written is not None and written < database.now() - IN_PROGRESS


def restore_snapshot(
    database: Database, blobs: BlobStore, store: SnapshotStore, *, scratch: Path, actor: str
) -> RestoredSnapshot | None:
    """Restore the newest intact snapshot into an empty registry.

    If no snapshot is intact, the newest one with an intact database is restored without the lost files.

    Args:
        database: the database of the registry.
        blobs: the store of the registry.
        store: where the snapshots are stored.
        scratch: a folder for a temporary copy of the database.
        actor: the author of the event that is recorded.

    Returns:
        None, without any change, if the registry is not empty.

    Raises:
        BlobStoreUnreachable: if the store does not answer.
        BlobNotStored: if the artifact store refuses a file.
        BackupNotWritten: if the scratch folder cannot be created.
        DatabaseTooNew: if a newer version of the program wrote the snapshot.
    """
    with database.reading() as session:
        present = contents(session.connection())
    if present.rows:
        return None
    names, skipped = store.names(), dict[str, BackupUnusable]()
    with raising_backup_not_written(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
    for complete in (True, False):
        for name in names:
            try:
                with TemporaryDirectory(dir=scratch) as folder:
                    done = _restore(database, blobs, store, name, Path(folder) / DATABASE, actor, complete)
            except BackupUnusable as error:
                skipped.setdefault(name, error)
                continue
            newer = [other for other in names if other > name]
            return RestoredSnapshot(
                done.snapshot,
                done.contents,
                tuple(skipped[other] for other in newer),
                frozenset(newer),
                done.missing,
            )
    return RestoredSnapshot(None, present, tuple(skipped.values()), frozenset(skipped))


def _restore(
    database: Database,
    blobs: BlobStore,
    store: SnapshotStore,
    name: str,
    copy: Path,
    actor: str,
    complete: bool,
) -> RestoredSnapshot:
    snapshot, where = _read(store, name), f"The snapshot {store.root}/{name}"
    try:
        copy.write_bytes(store.blobs.read(snapshot.manifest.database_sha256))
    except (BlobMissing, BlobDamaged) as error:
        raise BackupUnusable(where, "its database is lost or damaged") from error
    interrupted = prepare_snapshot(copy, snapshot.manifest, where)
    missing = set(snapshot.manifest.missing)
    for digest in _unreadable(snapshot, store.blobs, blobs):
        if complete:
            raise BackupUnusable(where, f"its file {digest} is lost or damaged")
        missing.add(digest)
    checked = Checked(where, snapshot.manifest, copy, interrupted)
    done = replace_contents(database, checked, None, actor)
    return RestoredSnapshot(snapshot, done.contents, missing=tuple(sorted(missing)))


def _unreadable(snapshot: Snapshot, kept: BlobStore, blobs: BlobStore) -> Iterator[str]:
    """Copy all files into the artifact store, and yield the digests of those that cannot be read."""
    for digest in snapshot.manifest.blobs:
        if blobs.has(digest):
            continue
        try:
            data = kept.read(digest)
        except (BlobMissing, BlobDamaged):
            yield digest
        else:
            blobs.put_bytes(data)
