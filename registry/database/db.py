"""The engine rules: sessions for reading and for writing, and the column types, the same on either database.

What only one of them knows is in `registry.sqlite` and `registry.postgres`.
Never hold a session across a training step.
"""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Dialect, Double, Engine, Integer, Text, event, text
from sqlalchemy.dialects.sqlite import REAL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, InternalError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator, TypeEngine

from registry.database import postgres, sqlite
from registry.database.canonical import canonical_json
from registry.database.clock import Clock
from registry.database.errors import (
    DatabaseNotReadable,
    DatabaseNotWritable,
    ReadOnlySession,
    UnsupportedDatabase,
)
from registry.errors import InvalidValue, one_line
from registry.sight import WHOLE, Sight, info_of

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert

# STRICT tables of SQLite know only INTEGER, REAL and TEXT; elsewhere INTEGER and REAL would be 4 bytes
BigInt = BigInteger().with_variant(Integer(), "sqlite")
Float64: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
# PostgreSQL would else sort and compare by the rules of a language, and SQLite by bytes
ByteText = Text().with_variant(Text(collation="C"), "postgresql")


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime as UTC ISO-8601 text with milliseconds, which sorts in the order of time."""

    impl = ByteText
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

    impl = ByteText
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def open_engine(database_url: str) -> Engine:
    """An engine over the SQLite file or PostgreSQL database of this address.

    UnsupportedDatabase, SqliteTooOld, PostgresDriverMissing, DatabaseNotReadable or DatabaseUnusable.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        # what can't be taken apart may hold a password anywhere, also in the cause's own words
        raise UnsupportedDatabase("The address of the database") from None
    if url.drivername in postgres.DRIVERS:
        return postgres.open_postgres(url)
    return sqlite.open_sqlite(sqlite.sqlite_file(url))


def insert_into(model: type[DeclarativeBase]) -> "Insert":
    """An INSERT that can carry ON CONFLICT, which both databases write in the same words."""
    from sqlalchemy.dialects.postgresql import insert  # takes a tenth of opening, and readers need none

    return insert(model)


def _refuse_flush(_session: Session, _context: object, _instances: object) -> None:
    raise ReadOnlySession


def integrity_problems(session: Session) -> list[str]:
    """What the database finds wrong with itself, one line each; a server looks after that on its own."""
    if session.get_bind().dialect.name != "sqlite":
        return []
    try:
        found = [str(row[0]) for row in session.execute(text("PRAGMA quick_check(20)")) if row[0] != "ok"]
        dangling = session.execute(text("PRAGMA foreign_key_check")).all()
    except DatabaseError as error:
        return [str(error.orig)]
    return found + [f"row {row} of {table} lacks its row of {parent}" for table, row, parent, _ in dangling]


class Database:
    """Sessions for reading and for writing, and the time that goes into the rows.

    Attributes:
        location: what to call the database in a message; holds no password.
        file: the SQLite file; None on PostgreSQL.
        sight: what the reader sees for whom the sessions are; see `seen_by`.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        on_sqlite = engine.dialect.name == "sqlite"
        self.file: Path | None = sqlite.sqlite_file(engine.url) if on_sqlite else None
        self.location = str(self.file) if on_sqlite else postgres.location(engine.url)
        self._rules = rules = sqlite if on_sqlite else postgres
        self.writer = engine.execution_options(**rules.WRITING)
        self.sight = WHOLE
        self._clock = clock
        self._reading = sessionmaker(engine.execution_options(**rules.READING))
        self._writing = sessionmaker(self.writer)
        event.listen(self._reading, "before_flush", _refuse_flush)

    def seen_by(self, sight: Sight) -> "Database":
        """Return the same database, with sessions for a reader who sees only so much of it."""
        seen = copy.copy(self)
        seen.sight = sight
        return seen

    def now(self) -> datetime:
        """The clock's time in UTC, cut to the milliseconds that are stored."""
        now = self._clock().astimezone(timezone.utc)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def purge(self) -> bool:
        """Take what was deleted out of the database's files too; False where that has to be tried again.

        A server does so on its own, in its own time.
        """
        if self.file is None:
            return True
        return sqlite.purge(self.engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent snapshot; never waits for writers; a change raises ReadOnlySession.

        DatabaseNotReadable when the server or the disk is gone, DatabaseReplaced when the file is.
        """
        try:
            with self._reading(info=info_of(self.sight)) as session:
                yield session
                # a change that nobody flushed would otherwise vanish without a word
                session.flush()
        except DatabaseError as error:
            if not _is_the_databases_fault(error):
                raise
            raise DatabaseNotReadable(self.location, one_line(error.orig)) from error

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction that holds the write lock from its start: committed, or undone by any error.

        Waits up to 20 s for another writer. DatabaseNotWritable when that was too short, the disk is full or
        the server is gone, DatabaseReplaced when the file is; InvalidValue for a value that the database has
        no place for.
        """
        try:
            with self._writing(info=info_of(self.sight)) as session, session.begin():
                # a session would otherwise begin at its first statement
                require_present = self._rules.require_present(session.connection())
                yield session
            # what is committed into a file that is gone by now is lost
            require_present()
        except DataError as error:
            raise InvalidValue("a value", one_line(error.orig)) from error
        except DatabaseError as error:
            if not _is_the_databases_fault(error):
                raise
            raise DatabaseNotWritable(one_line(error.orig)) from error


def _is_the_databases_fault(error: DatabaseError) -> bool:
    """Whether server, disk or file failed; a damaged SQLite file has no class of its own."""
    return isinstance(error, OperationalError | InternalError) or type(error) is DatabaseError
