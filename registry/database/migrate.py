"""Bringing a database to the present schema."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Inspector, inspect, text
from sqlalchemy.exc import DatabaseError

from registry.blobs.whole_file import whole_file
from registry.database.db import Database
from registry.database.errors import DatabaseTooNew, DatabaseUnusable
from registry.database.migrations import revisions
from registry.database.sqlite import ALEMBIC_TABLE, copy_database, name_database
from registry.errors import one_line

LOCK_SECONDS = 60
BACKUP_FOLDER = "backups"
BACKUPS_KEPT = 3

_LOG = logging.getLogger(__name__)
# Alembic keeps its environment in module globals, which the file lock of another database doesn't guard
_alembic = threading.Lock()


@dataclass(frozen=True, slots=True)
class Upgrade:
    """That a database with rows was brought from one schema to another, and the copy made before, if any."""

    before: str
    after: str
    backup: Path | None

    def __str__(self) -> str:
        if self.backup is not None:
            kept = f"a copy of it as it was is {self.backup}"
        else:
            kept = "no copy of a server's database is made here: have one by pg_dump or loravit_web backup"
        return f"from schema {self.before} to {self.after}; {kept}"


def head() -> str:
    """The present schema's revision."""
    return revisions()[-1]


def revision_of(connection: Connection) -> str | None:
    """The revision of a database's schema, None for one that never was a registry."""
    if not inspect(connection).has_table(ALEMBIC_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {ALEMBIC_TABLE}"))
    return revision


def is_known(revision: str) -> bool:
    """Whether this program has the migration that made the schema."""
    return revision in revisions()


def migrate(database: Database, *, keep_copy: bool = True) -> Upgrade | None:
    """Create or upgrade the database in one transaction; interrupted, it leaves the database as it was.

    A SQLite file that holds rows is first copied into the folder `backups` beside it; on a server that is
    the business of its keeper, and the log says so. For a database that is a copy itself, `keep_copy` is off.
    Other processes wait meanwhile, so two may open a new database at once.
    """
    try:
        with _alembic, _alone(database), database.writer.begin() as connection:
            return _upgrade(connection, database, keep_copy)
    except Timeout as error:
        raise DatabaseUnusable(
            database.location, f"another process has been upgrading it for {LOCK_SECONDS} s"
        ) from error
    except OSError as error:
        raise DatabaseUnusable(database.location, error.strerror or str(error)) from error
    except DatabaseError as error:
        raise DatabaseUnusable(database.location, one_line(error.orig)) from error


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Keep other processes from a SQLite file that may not exist yet; a server's write lock is enough."""
    if database.file is None:
        yield
        return
    database.file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database.file}.lock", timeout=LOCK_SECONDS):
        yield


def _upgrade(connection: Connection, database: Database, keep_copy: bool) -> Upgrade | None:
    present, target = revision_of(connection), head()
    if database.file is not None:
        name_database(connection)
    if present == target:
        return None
    if present is not None and not is_known(present):
        raise DatabaseTooNew(database.location, present)
    backup = None
    holds_rows = keep_copy and present is not None and _holds_rows(connection)
    if holds_rows and database.file is not None:
        backup = _back_up(database.file, str(present), database.now())
    upgrade = Upgrade(str(present), target, backup) if holds_rows else None
    if upgrade is not None:
        # said before it begins, as the log is all there is when the power fails
        _LOG.warning("Upgrading %s %s.", database.location, upgrade)
    from registry.database.alembic_run import (
        upgrade_to_head,  # takes longer to import than to find nothing to do
    )

    upgrade_to_head(connection)
    return upgrade


def _holds_rows(connection: Connection) -> bool:
    inspector: Inspector = inspect(connection)
    quote = connection.dialect.identifier_preparer.quote
    tables = [quote(name) for name in inspector.get_table_names() if name != ALEMBIC_TABLE]
    return any(connection.scalar(text(f"SELECT 1 FROM {name} LIMIT 1")) for name in tables)


def _back_up(file: Path, revision: str, now: datetime) -> Path:
    """Copy the database as it was when the lock on writing was taken; keeps the newest few such copies."""
    folder = file.parent / BACKUP_FOLDER
    folder.mkdir(exist_ok=True)
    backup = folder / f"{file.stem}-schema-{revision}-{now:%Y%m%dT%H%M%S.%f}.db"
    try:
        with whole_file(backup) as temporary:
            copy_database(file, temporary)
    except sqlite3.Error as error:
        raise DatabaseUnusable(str(file), f"no copy of it can be made before its upgrade: {error}") from error
    copies = sorted(folder.glob(f"{file.stem}-schema-*.db"), key=lambda one: one.stem.rpartition("-")[2])
    for old in copies[:-BACKUPS_KEPT]:
        old.unlink()
    return backup
