"""Bringing a backup back: everything is verified first, then the files, then all rows in one transaction."""

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
    failures_told,
    new_backup,
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
    "This run was going when the backup was made from which the registry was restored; resume the run or "
    "start it again."
)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restoring did.

    Attributes:
        replaced: what the registry held before; None when it was empty.
        kept: the backup of that.
        interrupted: runs that were going when the backup was made.
        lacking: digests of files that were already lost when the backup was made.
    """

    taken_at: datetime
    contents: Contents
    replaced: Contents | None
    kept: Path | None
    interrupted: int
    lacking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """A backup that was found whole: its database lies in `snapshot`, of the present schema."""

    file: Path | str
    manifest: Manifest
    snapshot: Path
    interrupted: int


def restore_backup(
    database: Database, blobs: BlobStore, file: Path, *, replace: bool, keep_in: Path, actor: str
) -> Restored:
    """Put the backup in the place of what the registry holds; others see all of the old or all of the new.

    Workers are refused at their next beat, as no run of a backup is going. A registry that isn't empty is
    only replaced when `replace` says so, and is first kept as a backup in the folder `keep_in`.
    BackupUnusable, DatabaseTooNew, RegistryNotEmpty or BackupNotWritten; then nothing was changed.
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
                with failures_told(keep_in):
                    keep_in.mkdir(parents=True, exist_ok=True)
                keep = keep_in / f"before-restore-{database.now():%Y%m%dT%H%M%S.%f}.zip"
                keeper = stack.enter_context(new_backup(keep, blobs))
            return put_in_place(database, checked, keeper, actor)


def _check(archive: ZipFile, file: Path, folder: Path) -> Checked:
    manifest, snapshot = _verified(archive, file), folder / DATABASE
    with archive.open(DATABASE) as source, snapshot.open("xb") as target:
        shutil.copyfileobj(source, target, CHUNK_BYTES)
    return Checked(file, manifest, snapshot, prepare(snapshot, manifest, file))


def _store_files(archive: ZipFile, checked: Checked, blobs: BlobStore) -> None:
    """Files come first: killed here, the registry is as it was, beside some files that nothing refers to."""
    for digest in checked.manifest.blobs:
        if blobs.put_bytes(archive.read(f"{BLOBS}{digest}")).sha256 != digest:
            raise BackupUnusable(checked.file, "it was changed while it was read")


def _verified(archive: ZipFile, file: Path) -> Manifest:
    """The manifest, once every entry was found to be what it says."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise BackupUnusable(file, "two of its entries have the same name")
    if MANIFEST not in entries or entries[MANIFEST].file_size > MAX_MANIFEST_BYTES:
        raise BackupUnusable(file, "it is no backup of a registry")
    # nothing is packed, so nothing can be larger than the file itself
    plain = all(entry.compress_type == ZIP_STORED and not entry.flag_bits & 1 for entry in entries.values())
    if not plain or sum(entry.file_size for entry in entries.values()) > file.stat().st_size:
        raise BackupUnusable(file, "its entries are packed or encrypted, which a backup's never are")
    try:
        manifest = read_manifest(archive.read(MANIFEST))
    except ValueError as error:
        raise BackupUnusable(file, str(error)) from error
    expected = {f"{BLOBS}{digest}": digest for digest in manifest.blobs}
    expected[DATABASE] = manifest.database_sha256
    if set(entries) != {MANIFEST, *expected}:
        raise BackupUnusable(file, "its entries are not those that its manifest names")
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


def prepare(snapshot: Path, manifest: Manifest, file: Path | str) -> int:
    """Check the snapshot, bring it to the present schema and end its running runs; how many those were."""
    try:
        _check_integrity(snapshot, file)
        with opened_snapshot(snapshot) as opened:
            migrate(opened, keep_copy=False)
            with opened.writing() as session:
                _check_tables(session.connection(), file)
                needed = set(blobs_of(session.connection()))
                if not needed <= {*manifest.blobs, *manifest.lacking}:
                    raise BackupUnusable(file, "its catalog needs files that it doesn't hold")
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
            raise BackupUnusable(file, "its database refers to rows that it doesn't hold")
        kinds = dict(connection.execute("SELECT name, type FROM sqlite_master"))
        if kinds.get(ALEMBIC_TABLE) != "table":
            raise BackupUnusable(file, "its database is no registry")
        (revision,) = connection.execute(f"SELECT version_num FROM {ALEMBIC_TABLE}").fetchone() or (None,)
    if revision is None:
        raise BackupUnusable(file, "its database is no registry")
    if not is_known(str(revision)):
        raise DatabaseTooNew(f"in {file}", str(revision))


def _check_tables(connection: Connection, file: Path | str) -> None:
    for table in TABLES:
        found = {row.name for row in connection.execute(text(f"PRAGMA table_info({table.name})"))}
        if not {column.name for column in table.columns} <= found:
            raise BackupUnusable(file, f"its database lacks the table {table.name}, or a column of it")


def _end_running(session: Session, now: datetime) -> int:
    """No run of a backup is still going: a worker that went on with one would not be its keeper any more."""
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


def put_in_place(database: Database, checked: Checked, keeper: BackupWriter | None, actor: str) -> Restored:
    """Take what is checked for what the registry holds; RegistryNotEmpty when nobody keeps what is there."""
    kept: Path | None = None
    with ExitStack() as undo, _rules_told(checked.file):
        if keeper is not None:
            # most of what is kept is copied before others have to wait
            with database.reading() as session:
                files = blobs_of(session.connection())
            keeper.add_blobs(files)
        with opened_snapshot(checked.snapshot) as snapshot, database.writing() as session:
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
        lacking=checked.manifest.lacking,
    )


@contextmanager
def _rules_told(file: Path | str) -> Iterator[None]:
    """The database itself refuses rows that break its rules."""
    try:
        yield
    except IntegrityError as error:
        raise BackupUnusable(file, f"its rows break a rule: {one_line(error.orig)}") from error
    except InvalidValue as error:
        raise BackupUnusable(file, f"its rows break a rule: {error.problem}") from error


def _refuse_other_schema(session: Session, database: Database) -> None:
    """Somebody may have upgraded the database since it was opened."""
    revision = revision_of(session.connection())
    if revision != head():
        raise DatabaseTooNew(database.location, str(revision))


def _record(
    session: Session, now: datetime, actor: str, manifest: Manifest, present: Contents, restored: Contents
) -> None:
    """Tell the history; the event's id is above all that were there, so every page sees that all is new."""
    record_event(
        session,
        now,
        actor=actor,
        kind=RESTORED,
        entity="registry",
        entity_id=manifest.taken_at.isoformat(timespec="seconds"),
        payload={"restored": str(restored), "replaced": str(present)},
    )
