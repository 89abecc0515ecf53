"""Creating a database and upgrading it to the present schema."""

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

from registry.blobs.atomic_file import atomic_file
from registry.database.db import Database
from registry.database.errors import DatabaseTooNew, DatabaseUnusable
from registry.database.migrations import revisions
from registry.database.sqlite import ALEMBIC_TABLE, copy_database, name_database
from registry.errors import one_line

LOCK_SECONDS = 60
BACKUP_FOLDER = "backups"
BACKUPS_KEPT = 3

_LOG = logging.getLogger(__name__)
# Alembic keeps its environment in module globals, which the file lock of another database does not guard
_alembic = threading.Lock()


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A database with rows was upgraded.

    Attributes:
        before: the old schema revision.
        after: the new schema revision.
        backup: the copy made before; None on PostgreSQL.
    """

    before: str
    after: str
    backup: Path | None

    def __str__(self) -> str:
        if self.backup is not None:
            kept = f"a copy of the old database is {self.backup}"
        else:
            kept = "a server's database is not copied, so make a backup with pg_dump or loravit_web backup"
        return f"from schema {self.before} to {self.after}; {kept}"


def head() -> str:
    """Return the revision of the present schema."""
    return revisions()[-1]


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a database's schema, or None if the database was never a registry."""
    if not inspect(connection).has_table(ALEMBIC_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {ALEMBIC_TABLE}"))
    return revision


def is_known(revision: str) -> bool:
    """Return whether this program has the migration to this revision."""
    return revision in revisions()


def migrate(database: Database, *, keep_copy: bool = True) -> Upgrade | None:
    """Create or upgrade the database in a single transaction. If the process is killed, nothing has changed.

    A SQLite file that holds rows is first copied into the folder `backups` beside it. The database of a
    server is not copied, and the log says so. Other processes wait meanwhile, so two of them may open a new
    database at the same time.

    Args:
        database: the database.
        keep_copy: whether to copy a SQLite file first. Off for a database that is itself a copy.

    Returns:
        The upgrade, or None if the database was new or up to date.

    Raises:
        DatabaseTooNew: if a newer version of the program wrote the database.
        DatabaseUnusable: if it cannot be opened or upgraded.
    """
    try:
        with _alembic, _exclusive(database), database.writer.begin() as connection:
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
def _exclusive(database: Database) -> Iterator[None]:
    """Lock other processes out of a SQLite file, which may not exist yet; a server needs no such lock."""
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
        # logged before it begins, because the log is all that remains after a power failure
        _LOG.warning("Upgrading %s %s.", database.location, upgrade)
    # imported here because the import takes longer than finding that there is nothing to upgrade
    from registry.database.alembic_run import upgrade_to_head

    upgrade_to_head(connection)
    return upgrade


def _holds_rows(connection: Connection) -> bool:
    inspector: Inspector = inspect(connection)
    quote = connection.dialect.identifier_preparer.quote
    tables = [quote(name) for name in inspector.get_table_names() if name != ALEMBIC_TABLE]
    return any(connection.scalar(text(f"SELECT 1 FROM {name} LIMIT 1")) for name in tables)


def _back_up(file: Path, revision: str, now: datetime) -> Path:
    """Copy the database as it was when the write lock was taken, and remove all but the newest copies."""
    folder = file.parent / BACKUP_FOLDER
    folder.mkdir(exist_ok=True)
    backup = folder / f"{file.stem}-schema-{revision}-{now:%Y%m%dT%H%M%S.%f}.db"
    try:
        with atomic_file(backup) as temporary:
            copy_database(file, temporary)
    except sqlite3.Error as error:
        raise DatabaseUnusable(str(file), f"it cannot be copied before its upgrade: {error}") from error
    copies = sorted(folder.glob(f"{file.stem}-schema-*.db"), key=lambda copy: copy.stem.rpartition("-")[2])
    for old in copies[:-BACKUPS_KEPT]:
        old.unlink()
    return backup
