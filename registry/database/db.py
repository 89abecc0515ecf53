"""The database: sessions for reading and for writing, and column types that work alike on both kinds.

What only SQLite or PostgreSQL needs is in `registry.database.sqlite` and `registry.database.postgres`. Never
hold a session during a training step.
"""

import copy
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, BigInteger, Dialect, Double, Engine, Integer, Text, event, func, select, text
from sqlalchemy.dialects.sqlite import REAL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, InternalError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator, TypeEngine

from registry.database import postgres, sqlite
from registry.database.canonical import canonical_json
from registry.database.clock import Clock, utc_now
from registry.database.errors import (
    DatabaseNotReadable,
    DatabaseNotWritable,
    DatabaseReplaced,
    ReadOnlySession,
    UnsupportedDatabase,
)
from registry.errors import InvalidValue, one_line
from registry.visibility import EVERYTHING, Visibility, session_info

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert

_POSTGRES = "sqlalchemy.dialects.postgresql"

# STRICT tables of SQLite know only INTEGER, REAL and TEXT; on PostgreSQL, INTEGER and REAL have 4 bytes
BigInt = BigInteger().with_variant(Integer(), "sqlite")
Float64: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
# otherwise PostgreSQL would sort and compare by the rules of a language, but SQLite by bytes
ByteText = Text().with_variant(Text(collation="C"), "postgresql")


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime as UTC ISO 8601 text with milliseconds, which sorts by time."""

    impl = ByteText
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Return the text that is stored."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"The time {value!r} has no time zone. Add one.")
        return value.astimezone(timezone.utc).isoformat(timespec="milliseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Return the datetime of a stored text."""
        return None if value is None else datetime.fromisoformat(value)


class JsonText(TypeDecorator[Any]):
    """A JSON value as text. NaN and infinities are refused, because they are not JSON."""

    impl = ByteText
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Return the text that is stored."""
        return canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Return the value of a stored text."""
        return None if value is None else json.loads(value)


def database_file(database_url: str | URL) -> Path | None:
    """Return the SQLite file at this address, or None for a PostgreSQL database.

    Raises:
        UnsupportedDatabase: if the address is of another kind.
    """
    url = _parsed(database_url)
    return None if url.drivername in postgres.DRIVERS else sqlite.sqlite_file(url)


def open_engine(database_url: str | URL) -> Engine:
    """Return an engine for the SQLite file or PostgreSQL database at this address.

    A text is parsed, so a file whose path has ``%``, ``?`` or ``#`` needs a `URL`.

    Raises:
        UnsupportedDatabase: if the address is of another kind.
        SqliteTooOld: if the SQLite library of this Python is too old.
        PostgresDriverMissing: if the PostgreSQL driver cannot be imported.
        DatabaseNotReadable: if the PostgreSQL server cannot be reached.
        DatabaseUnusable: if the PostgreSQL database has another encoding than UTF-8.
    """
    url = _parsed(database_url)
    if url.drivername in postgres.DRIVERS:
        return postgres.open_postgres(url)
    return sqlite.open_sqlite(sqlite.sqlite_file(url))


def _parsed(database_url: str | URL) -> URL:
    try:
        return make_url(database_url)
    except (ArgumentError, ValueError):
        # an address that cannot be parsed may contain a password anywhere, as may the text of its error
        raise UnsupportedDatabase("The address of the database") from None


def insert_into(model: type[DeclarativeBase]) -> "Insert":
    """Return an INSERT that supports ON CONFLICT, whose syntax is the same in both databases.

    That of PostgreSQL can be used with both, but takes a fifth of a second to import. Whoever has opened a
    PostgreSQL database has imported it.
    """
    name = _POSTGRES if _POSTGRES in sys.modules else "sqlalchemy.dialects.sqlite"
    statement: Insert = importlib.import_module(name).insert(model)
    return statement


def _refuse_flush(_session: Session, _context: object, _instances: object) -> None:
    raise ReadOnlySession


def integrity_problems(session: Session) -> list[str]:
    """Return what an integrity check of the database finds, one line per problem.

    A PostgreSQL server checks itself, so nothing is checked there.
    """
    if session.get_bind().dialect.name != "sqlite":
        return []
    try:
        found = [str(row[0]) for row in session.execute(text("PRAGMA quick_check(20)")) if row[0] != "ok"]
        dangling = session.execute(text("PRAGMA foreign_key_check")).all()
    except DatabaseError as error:
        return [str(error.orig)]
    return found + [f"row {row} of {table} lacks its row of {parent}" for table, row, parent, _ in dangling]


class Database:
    """Sessions for reading and for writing, and the time for new rows.

    Attributes:
        location: the name of the database for messages; without a password.
        file: the SQLite file; None on PostgreSQL.
        visibility: what the reader of the sessions sees; see `seen_by`.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        """Use the database of an engine.

        Args:
            engine: the engine.
            clock: the source of the times in the rows; None for the clock of this machine, and for that of
                the server where times of several machines are compared.
        """
        self.engine = engine
        on_sqlite = engine.dialect.name == "sqlite"
        self.file: Path | None = sqlite.sqlite_file(engine.url) if on_sqlite else None
        self.location = str(self.file) if on_sqlite else postgres.location(engine.url)
        self._rules = rules = sqlite if on_sqlite else postgres
        self.writer = engine.execution_options(**rules.WRITING)
        self.visibility = EVERYTHING
        self._clock = clock or utc_now
        self._asks_server = clock is None and not on_sqlite
        self._reading = sessionmaker(engine.execution_options(**rules.READING))
        self._writing = sessionmaker(self.writer)
        self._writing_row = sessionmaker(engine.execution_options(**rules.ROW_WRITING))
        event.listen(self._reading, "before_flush", _refuse_flush)

    def seen_by(self, visibility: Visibility) -> "Database":
        """Return the same database, with sessions for a reader of this visibility."""
        limited = copy.copy(self)
        limited.visibility = visibility
        return limited

    def now(self) -> datetime:
        """Return the present time in UTC, truncated to the milliseconds that are stored."""
        return _in_milliseconds(self._clock())

    def now_in(self, session: Session) -> datetime:
        """Return the present time by the clock that all machines share; otherwise as `now`.

        A SQLite file is only used from one machine, whose clock it is. A server has a clock of its own.
        """
        if not self._asks_server:
            return self.now()
        return _in_milliseconds(session.execute(select(func.clock_timestamp())).scalar_one())

    def purge(self) -> bool:
        """Remove deleted content from the files of the database too.

        A PostgreSQL server does this on its own.

        Returns:
            False if a reader prevented it, so that the caller must try again.
        """
        if self.file is None:
            return True
        return sqlite.purge(self.engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session on one consistent snapshot, which never waits for writers.

        Raises:
            ReadOnlySession: if a row is changed.
            DatabaseNotReadable: if the server or the disk fails.
            DatabaseReplaced: if the SQLite file was deleted or replaced.
        """
        try:
            with self._reading(info=session_info(self.visibility)) as session:
                yield session
                # without this, an unflushed change would be lost silently
                session.flush()
        except DatabaseError as error:
            if not _is_database_failure(error):
                raise
            raise DatabaseNotReadable(self.location, one_line(error.orig)) from error

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that holds the write lock from its start, and commit it unless an error occurs.

        An error undoes all its changes. Waits up to 20 s for another writer.

        Raises:
            DatabaseNotWritable: if another writer takes too long, the disk is full or the server fails.
            DatabaseReplaced: if the SQLite file was deleted or replaced.
            InvalidValue: if the database cannot hold a value.
        """
        with self._transaction(self._writing) as session:
            yield session

    @contextmanager
    def writing_row(self) -> Iterator[Session]:
        """Open a transaction for a write that many processes repeat and that no other writer may delay.

        On PostgreSQL it does not take the write lock. So it may only change one row, or lock several ones in
        the order of their keys, and it must not depend on rows that it does not lock.

        Raises:
            DatabaseNotWritable, DatabaseReplaced, InvalidValue: as for `writing`.
        """
        with self._transaction(self._writing_row) as session:
            yield session

    def allow_pauses(self, session: Session) -> None:
        """Let a write take long between two statements; a server ends it otherwise after 10 s."""
        self._rules.allow_pauses(session.connection())

    def _save_if_lost(self, check_presence: Callable[[], None]) -> None:
        """Check that the file is in place; if it is not, save a copy before the error ends this process."""
        try:
            check_presence()
        except DatabaseReplaced:
            with self.reading() as session:
                session.connection()  # its own check saves the copy, and raises the error that names it
            raise

    @contextmanager
    def _transaction(self, maker: sessionmaker[Session]) -> Iterator[Session]:
        try:
            with maker(info=session_info(self.visibility)) as session, session.begin():
                # without this, the transaction would only begin with the first statement
                check_presence = self._rules.presence_check(session.connection())
                yield session
            # a commit into a deleted or replaced file is lost
            self._save_if_lost(check_presence)
        except DataError as error:
            raise InvalidValue("a value", one_line(error.orig)) from error
        except DatabaseError as error:
            if not _is_database_failure(error):
                raise
            raise DatabaseNotWritable(one_line(error.orig)) from error


def _in_milliseconds(moment: datetime) -> datetime:
    moment = moment.astimezone(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _is_database_failure(error: DatabaseError) -> bool:
    """Return whether server, disk or file failed. A damaged SQLite file has no error class of its own."""
    return isinstance(error, OperationalError | InternalError) or type(error) is DatabaseError
