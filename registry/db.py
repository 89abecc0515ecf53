"""The engine rules, and the only place that knows which database is underneath.

A write takes the database's write lock when it begins (BEGIN IMMEDIATE): in WAL mode a transaction that first
reads and then writes would otherwise fail at once, whatever the timeout.
Never hold a session across a training step.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Dialect,
    Double,
    Engine,
    Integer,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.dialects.sqlite import REAL, Insert, insert
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator, TypeEngine

from registry.canonical import canonical_json
from registry.clock import Clock
from registry.errors import DatabaseNotWritable, ReadOnlySession, SqliteTooOld, UnsupportedDatabase

OLDEST_SQLITE = (3, 37, 0)
BUSY_TIMEOUT_MS = 20_000
CACHE_KIB = 16_384
"""Of each connection: lists of ten thousand adapters and long curves fit in it, not in the usual 2 MiB."""

# the one table that isn't ours: its VARCHAR can't be in a STRICT table
ALEMBIC_TABLE = "alembic_version"

# STRICT tables of SQLite know only INTEGER, REAL and TEXT; elsewhere INTEGER and REAL would be 4 bytes
BigInt = BigInteger().with_variant(Integer(), "sqlite")
Float64: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime as UTC ISO-8601 text with milliseconds, which sorts in the order of time."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"The registry needs times with a time zone, but got {value!r}.")
        return value.astimezone(timezone.utc).isoformat(timespec="milliseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


class JsonText(TypeDecorator[Any]):
    """A JSON value as text; NaN and Infinity are refused because they aren't JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def sqlite_file(database_url: str) -> Path:
    """The file behind a `sqlite:///` address; UnsupportedDatabase for any other address."""
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise UnsupportedDatabase(database_url) from error
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        raise UnsupportedDatabase(url.render_as_string(hide_password=True))
    return Path(name).absolute()


def insert_into(model: type[DeclarativeBase]) -> Insert:
    """An INSERT that can carry ON CONFLICT."""
    return insert(model)


class _StrictTables(SQLiteDDLCompiler):
    """Makes every table STRICT; the option of SQLAlchemy itself came later than the oldest one we run on."""

    def post_create_table(self, table: Table) -> str:
        if table.name == ALEMBIC_TABLE:
            return ""
        return " STRICT" if table.dialect_options["sqlite"]["with_rowid"] else " WITHOUT ROWID, STRICT"


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    # sqlite3 must not begin transactions by itself: _begin does, so that a write locks at its first statement
    connection.isolation_level = None
    # the timeout comes first, because switching to WAL may have to wait for another process
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "trusted_schema=OFF",
        f"cache_size={-CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = bool(connection.get_execution_options().get("writes"))
    # a statement sent past the session's flush must not write in a reading session either
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _refuse_flush(_session: Session, _context: object, _instances: object) -> None:
    raise ReadOnlySession


def open_engine(file: Path) -> Engine:
    """An engine over the SQLite file with the rules of this module; connects to nothing yet."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise SqliteTooOld(sqlite3.sqlite_version, ".".join(map(str, OLDEST_SQLITE)))
    engine = create_engine(URL.create("sqlite", database=str(file)))
    engine.dialect.ddl_compiler = _StrictTables
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


class Database:
    """Sessions for reading and for writing, and the time that goes into the rows."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.writer = engine.execution_options(writes=True)
        self._clock = clock
        self._reading = sessionmaker(engine)
        self._writing = sessionmaker(self.writer)
        event.listen(self._reading, "before_flush", _refuse_flush)

    def now(self) -> datetime:
        """The clock's time in UTC, cut to the milliseconds that are stored."""
        now = self._clock().astimezone(timezone.utc)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent snapshot; never waits for writers; a change raises ReadOnlySession."""
        with self._reading() as session:
            yield session
            # a change that nobody flushed would otherwise vanish without a word
            session.flush()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction that holds the write lock from its start: committed, or undone by any error.

        Waits up to 20 s for another writer. DatabaseNotWritable when that was too short or the disk is full.
        """
        try:
            with self._writing.begin() as session:
                # a session would otherwise begin at its first statement
                session.connection()
                yield session
        except OperationalError as error:
            raise DatabaseNotWritable(str(error.orig)) from error
