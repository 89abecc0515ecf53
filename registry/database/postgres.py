"""PostgreSQL: one writer at a time, and readers on one snapshot, as on SQLite.

Every write first takes a lock that covers the whole database, so writers never touch the same rows. There are
no deadlocks and no lost updates, and no version number is used twice. Only writes of a single row that many
processes repeat every few seconds do without this lock, so that they do not wait for a long publication.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from sqlalchemy import URL, Connection, Engine, Integer, Table, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from registry.database.errors import DatabaseNotReadable, DatabaseUnusable, PostgresDriverMissing
from registry.errors import one_line

DRIVER = "postgresql+psycopg"
DRIVERS = (DRIVER, "postgresql", "postgres")
LOCK_TIMEOUT_MS = 20_000
SILENT_MS = 10_000
"""Time after which the server ends the write of a client that says nothing more.

A machine that loses its network in the middle of a write would keep its locks until TCP notices, which takes
hours. It is less than others wait for a lock, so that their writes succeed.
"""
CONNECTING = {
    "connect_timeout": 10,
    # a server that vanished without closing the connection is noticed within half a minute, not hours
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Options of libpq, unless the address sets them itself."""
# any number works, as long as no other program takes the same advisory lock in this database
WRITE_LOCK = 0x10BA_517

# a session reads from a single snapshot, as on SQLite
READING: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
# a snapshot taken before a lock was granted may be stale, so each statement must see new commits
ROW_WRITING: dict[str, Any] = {"isolation_level": "READ COMMITTED", "locks": "row"}
WRITING: dict[str, Any] = {**ROW_WRITING, "locks": "all"}


def open_postgres(url: URL) -> Engine:
    """Return an engine for the database with the rules of this module.

    Raises:
        PostgresDriverMissing: if the driver cannot be imported.
        DatabaseNotReadable: if the server cannot be reached.
        DatabaseUnusable: if the encoding of the database is not UTF-8.
    """
    try:
        import_module("psycopg")
    except ImportError as error:
        raise PostgresDriverMissing(str(error)) from error
    engine = create_engine(
        url.set(drivername=DRIVER),
        # a pooled connection that the server has dropped is replaced before it is used
        pool_pre_ping=True,
        # no table uses this type, which would be looked up at every start
        use_native_hstore=False,
        connect_args={name: value for name, value in CONNECTING.items() if name not in url.query},
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    try:
        _check_encoding(engine, location(url))
    except BaseException:
        engine.dispose()
        raise
    return engine


def location(url: URL) -> str:
    """Return the address for messages, without user, password and options."""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.host or ''}{port}/{url.database or ''}"


@contextmanager
def history_unlocked(connection: Connection) -> Iterator[None]:
    """Disable the triggers that refuse changes of the history, and enable them again after the block."""
    tables = connection.scalars(
        text(
            "SELECT DISTINCT event_object_table FROM information_schema.triggers "
            "WHERE trigger_schema = current_schema() ORDER BY 1"
        )
    ).all()
    for table in tables:
        connection.exec_driver_sql(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')
    yield
    for table in tables:
        connection.exec_driver_sql(f'ALTER TABLE "{table}" ENABLE TRIGGER USER')


def allow_pauses(connection: Connection) -> None:
    """Let a write say nothing for as long as it needs, as while it copies files."""
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout TO 0")


def presence_check(_connection: Connection) -> Callable[[], None]:
    """Return a check that does nothing, because a server protects its own files; see the one of SQLite."""
    return lambda: None


def insert_rows(connection: Connection, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of raw values, in the order of the table's columns."""
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(column.name) for column in table.columns)
    statement = f"COPY {quote(table.name)} ({columns}) FROM STDIN"
    driver = import_module("psycopg")
    driver_connection: Any = connection.connection.driver_connection
    try:
        with driver_connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except driver.Error as error:
        raise DBAPIError.instance(statement, None, error, driver.Error) from error


def advance_sequences(connection: Connection, tables: Iterable[Table]) -> None:
    """Make the next id of each table greater than every id that was inserted or ever used."""
    for table in tables:
        key = table.autoincrement_column
        if key is None or not isinstance(key.type, Integer):
            continue
        name = connection.scalar(
            text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": table.name, "c": key.name}
        )
        if name is not None:
            connection.exec_driver_sql(
                f"SELECT setval('{name}', greatest(nextval('{name}'), coalesce(max({key.name}), 0))) "
                f'FROM "{table.name}"'
            )


def _check_encoding(engine: Engine, where: str) -> None:
    try:
        with engine.connect() as connection:
            encoding = connection.scalar(text("SHOW server_encoding"))
    except OperationalError as error:
        raise DatabaseNotReadable(where, one_line(error.orig)) from error
    if encoding != "UTF8":
        raise DatabaseUnusable(where, f"its encoding is {encoding} instead of UTF8")


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.execute(f"SET lock_timeout TO {LOCK_TIMEOUT_MS}")
    connection.commit()


def _begin(connection: Connection) -> None:
    locks = connection.get_execution_options().get("locks")
    if locks is not None:
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout TO {SILENT_MS}")
    if locks == "all":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")
