"""The engine rules."""

import sqlite3
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from registry import DatabaseNotWritable, ReadOnlySession, SqliteTooOld, UnsupportedDatabase
from registry import db as db_module
from registry.clock import utc_now
from registry.db import Database, UtcTime, open_engine, sqlite_file
from registry.models import BaseRow, Table


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(open_engine(tmp_path / "x.db"), utc_now)
    with database.writer.begin() as connection:
        Table.metadata.create_all(connection)
    yield database
    database.engine.dispose()


def base_row(name: str = "vit") -> BaseRow:
    return BaseRow(
        name=name, weights_sha256="a" * 64, architecture="vit", embed_dim=384, depth=12, created_at=utc_now()
    )


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1), ("busy_timeout", 20_000)],
)
def test_every_connection_has_the_pragma(database: Database, pragma: str, value: object) -> None:
    with database.reading() as one, database.reading() as other:
        assert one.execute(text(f"PRAGMA {pragma}")).scalar() == value
        assert other.execute(text(f"PRAGMA {pragma}")).scalar() == value


def test_a_change_in_a_reading_session_raises_even_when_nobody_flushes(database: Database) -> None:
    with pytest.raises(ReadOnlySession, match=r"Database\.writing"), database.reading() as session:
        session.add(base_row())


def test_a_statement_that_bypasses_the_flush_can_not_write_in_a_reading_session(database: Database) -> None:
    with database.reading() as session, pytest.raises(OperationalError, match="readonly"):
        session.execute(update(BaseRow).values(name="other"))


def test_an_error_undoes_the_whole_write(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as session:
        session.add(base_row())
        session.flush()
        raise ZeroDivisionError
    with database.reading() as session:
        assert session.query(BaseRow).count() == 0


def test_a_write_holds_the_lock_from_its_first_moment(database: Database) -> None:
    other = sqlite3.connect(str(database.engine.url.database), timeout=0, isolation_level=None)
    with database.writing(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_a_reader_is_not_held_up_by_a_writer_and_sees_the_state_before(database: Database) -> None:
    with database.writing() as writer:
        writer.add(base_row())
        writer.flush()
        with database.reading() as reader:
            assert reader.query(BaseRow).count() == 0


def test_two_writers_that_read_first_both_get_through(database: Database) -> None:
    begin = threading.Barrier(2)

    def add_one_more() -> None:
        begin.wait()
        for _ in range(10):
            with database.writing() as session:
                session.add(base_row(f"base {session.query(BaseRow).count()}"))

    threads = [threading.Thread(target=add_one_more) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.query(BaseRow).count() == 20


def test_a_full_database_is_reported_in_one_sentence_and_keeps_its_rows(database: Database) -> None:
    with database.writing() as session:
        session.add(base_row("first"))
    with pytest.raises(DatabaseNotWritable, match="full"), database.writing() as session:
        session.execute(text("PRAGMA max_page_count=1"))
        session.add(base_row("x" * 1_000_000))
    with database.reading() as session:
        assert [row.name for row in session.query(BaseRow)] == ["first"]


def test_a_duplicate_is_refused_by_the_database_itself(database: Database) -> None:
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add_all([base_row(), base_row()])


def test_times_are_utc_text_with_milliseconds() -> None:
    elsewhere = datetime(2026, 1, 1, 2, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
    stored = UtcTime().process_bind_param(elsewhere, None)
    assert stored == "2026-01-01T00:00:00.123+00:00"


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UtcTime().process_bind_param(datetime(2026, 1, 1), None)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "postgresql://me:secret@host/db", "no url"]
)
def test_an_address_that_is_no_sqlite_file_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(UnsupportedDatabase, match="is no SQLite file") as caught:
        sqlite_file(url)
    assert "secret" not in str(caught.value)


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(db_module.sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(SqliteTooOld, match=r"needs 3\.37\.0 or newer"):
        open_engine(tmp_path / "x.db")
