"""Restoring a backup: verify everything, store the files, then replace all rows in one transaction."""

import hashlib
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from registry.audit import RESTORED, record_event
from registry.backup.backup import (
    BLOBS,
    CHUNK_BYTES,
    DATABASE,
    MANIFEST,
    BackupWriter,
    Manifest,
    new_backup,
    raising_backup_not_written,
    read_manifest,
)
from registry.backup.copying import TABLES, Contents, blobs_of, contents, opened_snapshot, replace_rows
from registry.backup.errors import BackupUnusable, RegistryNotEmpty
from registry.blobs.store import BlobStore
from registry.database.db import Database
from registry.database.errors import DatabaseTooNew, DatabaseUnusable
from registry.database.migrate import head, is_known, migrate, revision_of
from registry.database.models import RunRow
from registry.database.sqlite import ALEMBIC_TABLE
from registry.errors import InvalidValue, one_line

MAX_MANIFEST_BYTES = 64 << 20
RUN_ENDED = (
    "This run was interrupted, because the registry was restored from a backup made while it was running. "
    "Resume the run or start it again."
)


@dataclass(frozen=True, slots=True)
class Restored:
    """The outcome of restoring a backup.

    Attributes:
        replaced: what the registry held before; None if it was empty.
        kept: the backup of that.
        interrupted: the number of runs that were running when the backup was made.
        missing: digests of files that were already lost when the backup was made.
    """

    taken_at: datetime
    contents: Contents
    replaced: Contents | None
    kept: Path | None
    interrupted: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """A backup that was verified.

    Attributes:
        snapshot: its database, upgraded to the present schema.
        interrupted: the number of runs that were running when the backup was made.
    """

    file: Path | str
    manifest: Manifest
    snapshot: Path
    interrupted: int


def restore_backup(
    database: Database, blobs: BlobStore, file: Path, *, replace: bool, keep_in: Path, actor: str
) -> Restored:
    """Replace the contents of the registry with a backup. Readers see either the old or the new contents.

    No run of a backup is running, so workers are refused at their next heartbeat.

    Args:
        database: the database of the registry.
        blobs: the store of the registry.
        file: the backup.
        replace: whether the contents of a registry that is not empty may be replaced.
        keep_in: the folder in which a backup of the old contents is kept.
        actor: the author of the event that is recorded.

    Raises:
        BackupUnusable: if the backup is damaged or not a backup.
        DatabaseTooNew: if a newer version of the program made the backup.
        RegistryNotEmpty: if the registry is not empty and `replace` is off.
        BackupNotWritten: if the old contents cannot be kept.
    """
    with tempfile.TemporaryDirectory(prefix="loravit-restore-") as folder:
        try:
            with ZipFile(file) as archive:
                checked = _check(archive, file, Path(folder))
                _refuse_to_replace(database, replace)
                _store_files(archive, checked, blobs)
        except (BadZipFile, OSError, EOFError) as error:
            raise BackupUnusable(file, one_line(getattr(error, "strerror", None) or error)) from error
        with ExitStack() as stack:
            keeper = None
            if replace:
                with raising_backup_not_written(keep_in):
                    keep_in.mkdir(parents=True, exist_ok=True)
                keep = keep_in / f"before-restore-{database.now():%Y%m%dT%H%M%S.%f}.zip"
                keeper = stack.enter_context(new_backup(keep, blobs))
            return replace_contents(database, checked, keeper, actor)


def _check(archive: ZipFile, file: Path, folder: Path) -> Checked:
    manifest, snapshot = _verified(archive, file), folder / DATABASE
    with archive.open(DATABASE) as source, snapshot.open("xb") as target:
        shutil.copyfileobj(source, target, CHUNK_BYTES)
    return Checked(file, manifest, snapshot, prepare_snapshot(snapshot, manifest, file))


def _store_files(archive: ZipFile, checked: Checked, blobs: BlobStore) -> None:
    """Store the files before the rows. If the process is killed here, only unreferenced files are left."""
    for digest in checked.manifest.blobs:
        if blobs.put_bytes(archive.read(f"{BLOBS}{digest}")).sha256 != digest:
            raise BackupUnusable(checked.file, "it was changed while it was read")


def _verified(archive: ZipFile, file: Path) -> Manifest:
    """Return the manifest after checking every entry of the archive against it."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise BackupUnusable(file, "two of its entries have the same name")
    if MANIFEST not in entries or entries[MANIFEST].file_size > MAX_MANIFEST_BYTES:
        raise BackupUnusable(file, "it is not a backup of a registry")
    # nothing is compressed, so no entry can be larger than the file itself
    plain = all(entry.compress_type == ZIP_STORED and not entry.flag_bits & 1 for entry in entries.values())
    if not plain or sum(entry.file_size for entry in entries.values()) > file.stat().st_size:
        raise BackupUnusable(file, "its entries are compressed or encrypted, unlike those of a backup")
    try:
        manifest = read_manifest(archive.read(MANIFEST))
    except ValueError as error:
        raise BackupUnusable(file, str(error)) from error
    expected = {f"{BLOBS}{digest}": digest for digest in manifest.blobs}
    expected[DATABASE] = manifest.database_sha256
    if set(entries) != {MANIFEST, *expected}:
        raise BackupUnusable(file, "its entries differ from those in its manifest")
    for name, digest in expected.items():
        if re.fullmatch("[0-9a-f]{64}", digest) is None or _sha256(archive, entries[name]) != digest:
            raise BackupUnusable(file, f"its entry {name} is damaged")
    return manifest


def _sha256(archive: ZipFile, entry: ZipInfo) -> str:
    digest = hashlib.sha256()
    with archive.open(entry) as opened:
        while chunk := opened.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def prepare_snapshot(snapshot: Path, manifest: Manifest, file: Path | str) -> int:
    """Check the database of a backup, upgrade it to the present schema and end its running runs.

    Args:
        snapshot: a copy of the database, which is changed.
        manifest: the manifest of the backup.
        file: the backup, for messages.

    Returns:
        The number of runs that were running.

    Raises:
        BackupUnusable: if the database is damaged or not a registry.
        DatabaseTooNew: if a newer version of the program wrote it.
    """
    try:
        _check_integrity(snapshot, file)
        with opened_snapshot(snapshot) as opened:
            migrate(opened, keep_copy=False)
            with opened.writing() as session:
                _check_tables(session.connection(), file)
                needed = set(blobs_of(session.connection()))
                if not needed <= {*manifest.blobs, *manifest.missing}:
                    raise BackupUnusable(file, "its catalog refers to files that it does not hold")
                return _end_running(session, opened.now())
    except sqlite3.Error as error:
        raise BackupUnusable(file, one_line(error)) from error
    except DBAPIError as error:
        raise BackupUnusable(file, one_line(error.orig)) from error
    except DatabaseUnusable as error:
        raise BackupUnusable(file, error.reason) from error


def _check_integrity(snapshot: Path, file: Path | str) -> None:
    with closing(sqlite3.connect(snapshot)) as connection:
        connection.execute("PRAGMA trusted_schema=OFF")
        found = connection.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise BackupUnusable(file, f"its database is damaged: {found[0][0]}")
        if connection.execute("PRAGMA foreign_key_check").fetchall():
            raise BackupUnusable(file, "its database refers to rows that it does not hold")
        kinds = dict(connection.execute("SELECT name, type FROM sqlite_master"))
        if kinds.get(ALEMBIC_TABLE) != "table":
            raise BackupUnusable(file, "its database is not a registry")
        (revision,) = connection.execute(f"SELECT version_num FROM {ALEMBIC_TABLE}").fetchone() or (None,)
    if revision is None:
        raise BackupUnusable(file, "its database is not a registry")
    if not is_known(str(revision)):
        raise DatabaseTooNew(f"in {file}", str(revision))


def _check_tables(connection: Connection, file: Path | str) -> None:
    for table in TABLES:
        found = {row.name for row in connection.execute(text(f"PRAGMA table_info({table.name})"))}
        if not {column.name for column in table.columns} <= found:
            raise BackupUnusable(file, f"the table {table.name} or one of its columns is missing")


def _end_running(session: Session, now: datetime) -> int:
    """End all running runs, because no worker may continue a run of a backup. Returns their number."""
    running = session.scalars(select(func.count()).where(RunRow.status == "running")).one()
    session.execute(
        update(RunRow)
        .where(RunRow.status == "running")
        .values(status="interrupted", ended_at=now, error=RUN_ENDED, error_kind="lost", eta_seconds=None)
    )
    return running


def _refuse_to_replace(database: Database, replace: bool) -> None:
    with database.reading() as session:
        present = contents(session.connection())
    if present.rows and not replace:
        raise RegistryNotEmpty(database.location, str(present))


def replace_contents(
    database: Database, checked: Checked, keeper: BackupWriter | None, actor: str
) -> Restored:
    """Replace the contents of the registry with a checked backup, in one transaction.

    Args:
        database: the database of the registry.
        checked: the backup, whose files are already in the store.
        keeper: keeps the old contents as a backup; None if the registry must be empty.
        actor: the author of the event that is recorded.

    Raises:
        RegistryNotEmpty: if there are old contents and no keeper.
        BackupUnusable: if rows of the backup break a rule of the database.
        DatabaseTooNew: if another process has upgraded the registry.
    """
    kept: Path | None = None
    with ExitStack() as undo, _raising_backup_unusable(checked.file):
        if keeper is not None:
            # most files are copied before other writers have to wait
            with database.reading() as session:
                files = blobs_of(session.connection())
            keeper.add_blobs(files)
        with opened_snapshot(checked.snapshot) as snapshot, database.writing() as session:
            database.allow_pauses(session)
            present = contents(session.connection())
            _refuse_other_schema(session, database)
            if present.rows:
                if keeper is None:
                    raise RegistryNotEmpty(database.location, str(present))
                kept = keeper.finish(database).file
                undo.callback(kept.unlink)
            with snapshot.reading() as source:
                replace_rows(session.connection(), source.connection())
            restored = contents(session.connection())
            if present.rows:
                _record(session, database.now(), actor, checked.manifest, present, restored)
        undo.pop_all()
    return Restored(
        taken_at=checked.manifest.taken_at,
        contents=restored,
        replaced=present if present.rows else None,
        kept=kept,
        interrupted=checked.interrupted,
        missing=checked.manifest.missing,
    )


@contextmanager
def _raising_backup_unusable(file: Path | str) -> Iterator[None]:
    """Convert refusals of the database, whose rules the rows may break, to BackupUnusable."""
    try:
        yield
    except IntegrityError as error:
        raise BackupUnusable(file, f"its rows break a rule: {one_line(error.orig)}") from error
    except InvalidValue as error:
        raise BackupUnusable(file, f"its rows break a rule: {error.problem}") from error


def _refuse_other_schema(session: Session, database: Database) -> None:
    """Raise DatabaseTooNew if another process has upgraded the database since it was opened."""
    revision = revision_of(session.connection())
    if revision != head():
        raise DatabaseTooNew(database.location, str(revision))


def _record(
    session: Session, now: datetime, actor: str, manifest: Manifest, present: Contents, restored: Contents
) -> None:
    """Record the restore. The id of the event is above all previous ones, so pages notice the change."""
    record_event(
        session,
        now,
        actor=actor,
        kind=RESTORED,
        entity="registry",
        entity_id=manifest.taken_at.isoformat(timespec="seconds"),
        payload={"restored": str(restored), "replaced": str(present)},
    )
