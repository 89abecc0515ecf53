"""Whole databases as rows: counting them, and copying them between SQLite and PostgreSQL."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, text
from sqlalchemy import Table as SqlTable

from registry.database import postgres, sqlite
from registry.database.clock import utc_now
from registry.database.db import Database
from registry.database.errors import DatabaseTooNew
from registry.database.migrate import head, migrate, revision_of
from registry.database.models import BlobRow, DatasetFileRow, NodeRow, Table

# tables that others refer to come first
TABLES = [
    table
    for table in Table.metadata.sorted_tables
    # what is true of the present machines alone: where images are, and who is alive
    if table.name not in (DatasetFileRow.__tablename__, NodeRow.__tablename__)
]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a registry holds, in numbers. `rows` counts the rows of all tables."""

    adapters: int
    versions: int
    runs: int
    rows: int

    def __str__(self) -> str:
        return f"{self.adapters} adapters, {self.versions} versions and {self.runs} runs"


def contents(connection: Connection) -> Contents:
    """Count what a database of the present schema holds."""
    counted = {table.name: _count(connection, table) for table in TABLES}
    return Contents(
        adapters=counted["adapters"],
        versions=counted["adapter_versions"],
        runs=counted["runs"],
        rows=sum(counted.values()),
    )


def blobs_of(connection: Connection) -> list[str]:
    """Return the digests of all files that rows refer to, sorted."""
    columns = [
        (table, column.name)
        for table in TABLES
        for column in table.columns
        if any(key.column is BlobRow.__table__.c.sha256 for key in column.foreign_keys)
    ]
    quote = connection.dialect.identifier_preparer.quote
    selects = [f"SELECT {quote(name)} FROM {quote(table.name)}" for table, name in columns]
    return sorted(connection.scalars(text(" UNION ".join(selects))))


def read_rows(connection: Connection, table: SqlTable) -> Iterator[Sequence[Any]]:
    """Yield the raw values of each row, in the order of the table's columns."""
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(column.name) for column in table.columns)
    statement = text(f"SELECT {columns} FROM {quote(table.name)}")
    yield from connection.execute(statement, execution_options={"yield_per": sqlite.BATCH_ROWS})


def replace_rows(target: Connection, source: Connection) -> None:
    """Replace all rows of the target by those of the source, inside the target's transaction."""
    rules = sqlite if target.dialect.name == "sqlite" else postgres
    with rules.history_unlocked(target):
        for table in reversed(Table.metadata.sorted_tables):
            target.execute(delete(table))
        for table in TABLES:
            rules.insert_rows(target, table, read_rows(source, table))
    rules.advance_sequences(target, TABLES)


def write_snapshot(database: Database, target: Path) -> None:
    """Write what the database holds at this moment as a new SQLite file. Others can go on writing meanwhile.

    Args:
        database: the database.
        target: the new file. Its folder must hold nothing else, because SQLite adds files beside it
            meanwhile.
    """
    if database.file is not None:
        with database.reading() as session:
            check_presence = sqlite.presence_check(session.connection())
            sqlite.copy_database(database.file, target)
            check_presence()
        return
    with opened_snapshot(target) as snapshot:
        migrate(snapshot)
        with database.reading() as session, snapshot.writer.begin() as connection:
            present = revision_of(session.connection())
            if present != head():
                # another process upgraded it since it was opened, so rows might be lost
                raise DatabaseTooNew(database.location, str(present))
            replace_rows(connection, session.connection())


@contextmanager
def opened_snapshot(file: Path) -> Iterator[Database]:
    """Yield a snapshot as a database. Afterwards, it is a single file again."""
    database = Database(sqlite.open_sqlite(file), utc_now)
    try:
        yield database
    finally:
        database.engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _count(connection: Connection, table: SqlTable) -> int:
    quote = connection.dialect.identifier_preparer.quote
    return int(connection.scalar(text(f"SELECT count(*) FROM {quote(table.name)}")) or 0)
