"""SQLite: a file in WAL mode, STRICT tables, one writer at a time.

A write takes the write lock when it begins (BEGIN IMMEDIATE). Otherwise, a transaction that first reads and
then writes would fail at once, whatever the timeout.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler

from registry.database.errors import SqliteTooOld, UnsupportedDatabase
from registry.database.file_presence import FilePresence

OLDEST_SQLITE = (3, 37, 0)
BUSY_TIMEOUT_MS = 20_000
PURGE_TIMEOUT_MS = 2000
CACHE_KIB = 16_384
"""Page cache per connection, for lists of ten thousand adapters and long curves. The default is 2 MiB."""
BATCH_ROWS = 1000

# execution options of connections for reading and for writing
READING: dict[str, Any] = {}
WRITING: dict[str, Any] = {"writes": True}
ROW_WRITING = WRITING

_PRESENCE, _OPEN_FILES, _WRITES = "presence", "open_files", "writes"

# Alembic's own table, whose VARCHAR is not allowed in a STRICT table
ALEMBIC_TABLE = "alembic_version"


def sqlite_file(url: URL) -> Path:
    """Return the file of a `sqlite:///` address.

    Raises:
        UnsupportedDatabase: if the address is of another kind.
    """
    name = url.database
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or not name or name.startswith((":", "file:")):
        # options may contain a password too
        raise UnsupportedDatabase(url.set(query={}).render_as_string(hide_password=True))
    return Path(name).absolute()


def open_sqlite(file: Path) -> Engine:
    """Return an engine for the file with the rules of this module. This does not open the file yet.

    Raises:
        SqliteTooOld: if the SQLite library of this Python is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise SqliteTooOld(sqlite3.sqlite_version, ".".join(map(str, OLDEST_SQLITE)))
    presence = FilePresence(file)
    engine = create_engine(URL.create("sqlite", database=str(file)), creator=presence.connect)
    engine.dialect.ddl_compiler = _StrictTables
    event.listen(engine, "connect", lambda *arguments: _prepare_connection(presence, *arguments))
    event.listen(engine, "begin", _begin)
    return engine


def name_database(connection: Connection) -> None:
    """Give a database a number, unless it has one, by which another file in its place is detected."""
    if connection.exec_driver_sql("PRAGMA application_id").scalar() == 0:
        connection.exec_driver_sql(f"PRAGMA application_id={secrets.randbelow(2**31 - 1) + 1}")


def allow_pauses(_connection: Connection) -> None:
    """Do nothing: a write to a file may take as long as it needs."""


def presence_check(connection: Connection) -> Callable[[], None]:
    """Return a check that the files of a connection are still at their paths.

    The check raises DatabaseReplaced if not. It can be called after a commit, and after the connection is
    closed.
    """
    presence, opened = connection.info[_PRESENCE], connection.info[_OPEN_FILES]
    return lambda: presence.check(opened)


def copy_database(source: Path, target: Path) -> None:
    """Copy the last committed state of a database, to which others may be writing, into a new file."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        original.backup(copy)
        # without a log, the copy is a single file
        copy.execute("PRAGMA journal_mode=DELETE")


def purge(engine: Engine) -> bool:
    """Remove deleted content from the log beside the file too. Returns False if a reader prevents it."""
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        # short, because writers wait meanwhile
        cursor.execute(f"PRAGMA busy_timeout={PURGE_TIMEOUT_MS}")
        busy, _pages, _moved = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    return not busy


@contextmanager
def history_unlocked(connection: Connection) -> Iterator[None]:
    """Drop the triggers that refuse changes of the history, and create them again after the block."""
    triggers = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid")
    ).all()
    for name, _ in triggers:
        connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    yield
    for _, statement in triggers:
        connection.exec_driver_sql(statement)


def insert_rows(connection: Connection, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of raw values, in the order of the table's columns."""
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(column.name) for column in table.columns)
    marks = ", ".join("?" for _ in table.columns)
    statement = f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({marks})"
    remaining = iter(rows)
    while batch := [tuple(row) for row in islice(remaining, BATCH_ROWS)]:
        connection.exec_driver_sql(statement, batch)


def advance_sequences(connection: Connection, tables: Iterable[Table]) -> None:
    """Do nothing: SQLite already chooses ids greater than every id that was inserted."""


class _StrictTables(SQLiteDDLCompiler):
    """Makes every table STRICT. The oldest supported SQLAlchemy has no option for this."""

    def post_create_table(self, table: Table) -> str:
        if table.name == ALEMBIC_TABLE:
            return ""
        return " STRICT" if table.dialect_options["sqlite"]["with_rowid"] else " WITHOUT ROWID, STRICT"


def _prepare_connection(presence: FilePresence, connection: sqlite3.Connection, record: Any) -> None:
    # sqlite3 must not begin transactions itself: _begin does, so that a write takes the lock at its start
    connection.isolation_level = None
    # the timeout comes first, because switching to WAL may have to wait for another process
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "trusted_schema=OFF",
        # deleted content is overwritten; otherwise it could be read in the file until its space is reused
        "secure_delete=ON",
        f"cache_size={-CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    # a first read opens the log and its index
    connection.execute("PRAGMA schema_version").fetchone()
    record.info.update({_PRESENCE: presence, _OPEN_FILES: presence.open_files(), _WRITES: None})


def _begin(connection: Connection) -> None:
    writes = bool(connection.get_execution_options().get("writes"))
    presence, opened = connection.info[_PRESENCE], connection.info[_OPEN_FILES]
    driver_connection: Any = connection.connection.driver_connection
    presence.check(opened, driver_connection)
    # statements that bypass the session's flush must not write in a reading session either
    if connection.info.get(_WRITES) is not writes:
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.info[_WRITES] = writes
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    if writes:
        presence.verify(opened, driver_connection)
