"""Snapshots of a whole registry on a shelf: each a small document that names a database and its files.

The database and the published files lie there by content, so what did not change is not written again. The
document comes last, once everything that it names is there: killed on the way, there is no snapshot.
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

from registry.backup.backup import DATABASE, Manifest, failures_told, read_manifest
from registry.backup.copying import Contents, blobs_of, contents, opened_snapshot, write_snapshot
from registry.backup.errors import BackupNotWritten, BackupUnusable, SnapshotNotWritten, SnapshotsOfAnother
from registry.backup.restore import Checked, prepare, put_in_place
from registry.backup.shelf import Shelf
from registry.backup.state import State, has_been_at, read_state, state_of
from registry.blobs.errors import BlobDamaged, BlobMissing
from registry.blobs.store import BlobStore, StoredFile
from registry.database.canonical import canonical_json
from registry.database.db import Database
from registry.database.migrate import head
from registry.database.models import BlobRow

KEPT = 3
IN_PROGRESS = timedelta(hours=1)
"""A file that no snapshot names and that was written since may belong to one that is being written."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One that lies on a shelf."""

    name: str
    manifest: Manifest
    state: State

    def __str__(self) -> str:
        return f"the snapshot of {self.manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class RestoredSnapshot:
    """What a restoring did.

    Attributes:
        snapshot: that was restored; None where none could be.
        contents: what the registry holds now.
        skipped: newer ones that are damaged, and why.
        lacking: digests of files that the snapshot names and that are lost.
    """

    snapshot: Snapshot | None
    contents: Contents
    skipped: tuple[BackupUnusable, ...] = ()
    damaged: frozenset[str] = frozenset()
    lacking: tuple[str, ...] = ()


def save_snapshot(
    database: Database,
    blobs: BlobStore,
    shelf: Shelf,
    *,
    scratch: Path,
    damaged: Collection[str] = (),
) -> Snapshot:
    """Write what the registry holds at this moment; others go on using it.

    Args:
        scratch: a folder for a copy of the database on the way.
        damaged: names of snapshots that are known to be useless.

    SnapshotsOfAnother where the shelf holds what this registry never held; SnapshotNotWritten, BlobNotStored
    or BlobStoreUnreachable.
    """
    names = shelf.names()
    _refuse_another(database, shelf, [name for name in names if name not in damaged])
    number = int(names[0].partition("-")[0]) + 1 if names else 1
    try:
        with failures_told(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=scratch) as folder:
                manifest, state = _store(database, blobs, shelf.blobs, Path(folder) / DATABASE)
    except BackupNotWritten as error:
        raise SnapshotNotWritten(shelf.root, error.reason) from error
    document = canonical_json({**manifest.as_json(), "state": state.as_json()}).encode()
    time = f"{manifest.taken_at:%Y%m%dT%H%M%SZ}"
    name = f"{number:08}-{time}-{sha256(document).hexdigest()[:16]}.json"
    shelf.put(name, document)
    return Snapshot(name, manifest, state)


def _refuse_another(database: Database, shelf: Shelf, names: list[str]) -> None:
    newest = _newest(shelf, names)
    if newest is None:
        return
    with database.reading() as session:
        if not has_been_at(session, newest.state):
            raise SnapshotsOfAnother(shelf.root, newest.name)


def _store(database: Database, live: BlobStore, kept: BlobStore, copy: Path) -> tuple[Manifest, State]:
    """Put a copy of the database and all its files there, and see that they arrived."""
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
    lacking = _copy_files(live, kept, sizes)
    stored = kept.put_file(copy)
    kept.read(stored.sha256, fresh=True)
    here = {digest: size for digest, size in sizes.items() if digest not in lacking}
    return Manifest(head(), taken_at, stored.sha256, stored.size, here, tuple(sorted(lacking))), state


def _copy_files(live: BlobStore, kept: BlobStore, sizes: dict[str, int]) -> set[str]:
    """Copy what isn't there yet; the digests of what can't be read any more."""
    there = {file.sha256: file.size for file in kept.list()}
    lacking = set()
    for digest, size in sizes.items():
        if there.get(digest) == size:
            continue
        try:
            kept.put_bytes(live.read(digest))
        except (BlobMissing, BlobDamaged) as error:
            _LOG.warning("Not in the snapshot: %s", error)
            lacking.add(digest)
    return lacking


def newest_snapshot(shelf: Shelf) -> Snapshot | None:
    """The newest whose document can be read; BlobStoreUnreachable."""
    return _newest(shelf, shelf.names())


def _newest(shelf: Shelf, names: list[str]) -> Snapshot | None:
    for name in names:
        try:
            return _read(shelf, name)
        except BackupUnusable:
            continue
    return None


def _read(shelf: Shelf, name: str) -> Snapshot:
    """What a document says; BackupUnusable."""
    where = f"The snapshot {shelf.root}/{name}"
    try:
        data = shelf.read(name)
    except BlobMissing as error:
        raise BackupUnusable(where, error.reason) from error
    if sha256(data).hexdigest()[:16] != name.rpartition("-")[2].removesuffix(".json"):
        raise BackupUnusable(where, "it was cut off while it was written, or changed since")
    try:
        return Snapshot(name, read_manifest(data), read_state(json.loads(data)["state"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BackupUnusable(where, str(error)) from error


def prune_snapshots(
    database: Database, shelf: Shelf, *, keep: int = KEPT, damaged: Collection[str] = ()
) -> None:
    """Remove what is older than the newest `keep` good snapshots, and files that none names any more."""
    kept: list[Snapshot] = []
    released: set[str] = set()
    for name in shelf.names():
        try:
            snapshot = _read(shelf, name)
        except BackupUnusable:
            snapshot = None
        if sum(one.name not in damaged for one in kept) >= keep:
            shelf.delete(name)
            released |= _files(snapshot)
        elif snapshot is not None:
            kept.append(snapshot)
    used = {digest for snapshot in kept for digest in _files(snapshot)}
    for file in shelf.blobs.list():
        if file.sha256 not in used and (file.sha256 in released or _old(database, shelf, file)):
            shelf.blobs.delete(file)


def _files(snapshot: Snapshot | None) -> set[str]:
    return {snapshot.manifest.database_sha256, *snapshot.manifest.blobs} if snapshot is not None else set()


def _old(database: Database, shelf: Shelf, file: StoredFile) -> bool:
    written = shelf.blobs.modified(file)
    return written is not None and written < database.now() - IN_PROGRESS


def restore_snapshot(
    database: Database, blobs: BlobStore, shelf: Shelf, *, scratch: Path, actor: str
) -> RestoredSnapshot | None:
    """Put the newest whole snapshot into an empty registry; None, and nothing is done, in one that isn't.

    Where no snapshot is whole, the newest one whose database is sound is taken, without the files that are
    lost. BlobStoreUnreachable, BlobNotStored, BackupNotWritten, or DatabaseTooNew for what a newer program
    wrote: then nothing was restored.
    """
    with database.reading() as session:
        present = contents(session.connection())
    if present.rows:
        return None
    names, skipped = shelf.names(), dict[str, BackupUnusable]()
    with failures_told(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
    for whole in (True, False):
        for name in names:
            try:
                with TemporaryDirectory(dir=scratch) as folder:
                    done = _restore(database, blobs, shelf, name, Path(folder) / DATABASE, actor, whole)
            except BackupUnusable as error:
                skipped.setdefault(name, error)
                continue
            newer = [one for one in names if one > name]
            return RestoredSnapshot(
                done.snapshot,
                done.contents,
                tuple(skipped[one] for one in newer),
                frozenset(newer),
                done.lacking,
            )
    return RestoredSnapshot(None, present, tuple(skipped.values()), frozenset(skipped))


def _restore(
    database: Database, blobs: BlobStore, shelf: Shelf, name: str, copy: Path, actor: str, whole: bool
) -> RestoredSnapshot:
    snapshot, where = _read(shelf, name), f"The snapshot {shelf.root}/{name}"
    try:
        copy.write_bytes(shelf.blobs.read(snapshot.manifest.database_sha256))
    except (BlobMissing, BlobDamaged) as error:
        raise BackupUnusable(where, "its database is lost or damaged") from error
    interrupted = prepare(copy, snapshot.manifest, where)
    lacking = set(snapshot.manifest.lacking)
    for digest in _unreadable(snapshot, shelf.blobs, blobs):
        if whole:
            raise BackupUnusable(where, f"its file {digest} is lost or damaged")
        lacking.add(digest)
    checked = Checked(where, snapshot.manifest, copy, interrupted)
    done = put_in_place(database, checked, None, actor)
    return RestoredSnapshot(snapshot, done.contents, lacking=tuple(sorted(lacking)))


def _unreadable(snapshot: Snapshot, kept: BlobStore, blobs: BlobStore) -> Iterator[str]:
    """Bring all files along, and name those that can't be had."""
    for digest in snapshot.manifest.blobs:
        if blobs.has(digest):
            continue
        try:
            data = kept.read(digest)
        except (BlobMissing, BlobDamaged):
            yield digest
        else:
            blobs.put_bytes(data)
