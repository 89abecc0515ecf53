"""SQLite underneath: a file in WAL mode, STRICT tables, one writer at a time.

A write takes the write lock when it begins (BEGIN IMMEDIATE): a transaction that first reads and then writes
would otherwise fail at once, whatever the timeout.
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
from registry.database.file_presence import Presence

OLDEST_SQLITE = (3, 37, 0)
BUSY_TIMEOUT_MS = 20_000
PURGE_TIMEOUT_MS = 2000
CACHE_KIB = 16_384
"""Of each connection: lists of ten thousand adapters and long curves fit in it, not in the usual 2 MiB."""
ROWS_AT_ONCE = 1000

# how connections of the engine read, and how they write
READING: dict[str, Any] = {}
WRITING: dict[str, Any] = {"writes": True}

_PRESENCE, _HELD, _WRITES = "presence", "held", "writes"

# the one table that isn't ours: its VARCHAR can't be in a STRICT table
ALEMBIC_TABLE = "alembic_version"


def sqlite_file(url: URL) -> Path:
    """The file behind a `sqlite:///` address; UnsupportedDatabase for any other address."""
    name = url.database
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or not name or name.startswith((":", "file:")):
        # options may hold a password too
        raise UnsupportedDatabase(url.set(query={}).render_as_string(hide_password=True))
    return Path(name).absolute()


def open_sqlite(file: Path) -> Engine:
    """An engine over the file with the rules of this module; connects to nothing yet."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise SqliteTooOld(sqlite3.sqlite_version, ".".join(map(str, OLDEST_SQLITE)))
    presence = Presence(file)
    engine = create_engine(URL.create("sqlite", database=str(file)), creator=presence.connect)
    engine.dialect.ddl_compiler = _StrictTables
    event.listen(engine, "connect", lambda *made: _prepare_connection(presence, *made))
    event.listen(engine, "begin", _begin)
    return engine


def name_database(connection: Connection) -> None:
    """Give a database a number of its own, unless it has one: so another one in its place is known by it."""
    if connection.exec_driver_sql("PRAGMA application_id").scalar() == 0:
        connection.exec_driver_sql(f"PRAGMA application_id={secrets.randbelow(2**31 - 1) + 1}")


def require_present(connection: Connection) -> Callable[[], None]:
    """Return a check that the files of a connection are still at their paths, to be made after a commit too.

    The check raises DatabaseReplaced, also once the connection is closed.
    """
    presence, held = connection.info[_PRESENCE], connection.info[_HELD]
    return lambda: presence.check(held)


def copy_database(source: Path, target: Path) -> None:
    """Copy the last committed state of a database that others may be writing to into one new file."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as one,
        closing(sqlite3.connect(target)) as other,
    ):
        one.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        one.backup(other)
        # a copy lies still: without a log of its own it is one file
        other.execute("PRAGMA journal_mode=DELETE")


def purge(engine: Engine) -> bool:
    """Take what was deleted out of the log beside the file too; False while a reader holds on to it."""
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        # writers wait meanwhile
        cursor.execute(f"PRAGMA busy_timeout={PURGE_TIMEOUT_MS}")
        busy, _pages, _moved = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    return not busy


@contextmanager
def history_open(connection: Connection) -> Iterator[None]:
    """Without the triggers that refuse to change history; they are back when the transaction commits."""
    triggers = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid")
    ).all()
    for name, _ in triggers:
        connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    yield
    for _, statement in triggers:
        connection.exec_driver_sql(statement)


def insert_rows(connection: Connection, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of raw values in the order of the table's columns."""
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(column.name) for column in table.columns)
    marks = ", ".join("?" for _ in table.columns)
    statement = f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({marks})"
    remaining = iter(rows)
    while batch := [tuple(row) for row in islice(remaining, ROWS_AT_ONCE)]:
        connection.exec_driver_sql(statement, batch)


def raise_sequences(connection: Connection, tables: Iterable[Table]) -> None:
    """Nothing to do: the next id is above every id that was inserted."""


class _StrictTables(SQLiteDDLCompiler):
    """Makes every table STRICT; the option of SQLAlchemy itself came later than the oldest one we run on."""

    def post_create_table(self, table: Table) -> str:
        if table.name == ALEMBIC_TABLE:
            return ""
        return " STRICT" if table.dialect_options["sqlite"]["with_rowid"] else " WITHOUT ROWID, STRICT"


def _prepare_connection(presence: Presence, connection: sqlite3.Connection, record: Any) -> None:
    # sqlite3 must not begin transactions by itself: _begin does, so that a write locks at its first statement
    connection.isolation_level = None
    # the timeout comes first, because switching to WAL may have to wait for another process
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "trusted_schema=OFF",
        # what is deleted is overwritten: else it could be read in the file until its place is used again
        "secure_delete=ON",
        f"cache_size={-CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    # reading opens the log and its index
    connection.execute("PRAGMA schema_version").fetchone()
    record.info.update({_PRESENCE: presence, _HELD: presence.held(), _WRITES: None})


def _begin(connection: Connection) -> None:
    writes = bool(connection.get_execution_options().get("writes"))
    presence, held = connection.info[_PRESENCE], connection.info[_HELD]
    driver_connection: Any = connection.connection.driver_connection
    presence.check(held, driver_connection)
    # a statement sent past the session's flush must not write in a reading session either
    if connection.info.get(_WRITES) is not writes:
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.info[_WRITES] = writes
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    if writes:
        presence.verify(held, driver_connection)
