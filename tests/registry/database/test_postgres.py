"""Rules that only PostgreSQL has."""

import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import make_url

from registry import (
    DatabaseNotReadable,
    DatabaseNotWritable,
    DatabaseUnusable,
    InvalidValue,
    PostgresDriverMissing,
    Registry,
)
from registry.database import postgres as postgres_module
from registry.database.db import Database, open_engine
from registry.database.models import BaseRow
from registry.database.postgres import location
from tests.registry.conftest import PostgresServer, only_postgres
from tests.registry.database.test_db import base_row

pytestmark = [only_postgres, pytest.mark.usefixtures("dialect")]


def kill_other_connections(database: Database) -> None:
    with database.writing() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


def test_every_text_column_compares_by_bytes(database: Database) -> None:
    with database.reading() as session:
        columns = session.execute(
            text(
                "SELECT table_name, column_name, collation_name FROM information_schema.columns "
                "WHERE table_schema = current_schema() AND data_type = 'text'"
            )
        ).all()
    assert len(columns) > 50
    assert {(table, column) for table, column, collation in columns if collation != "C"} == set()


def test_a_write_holds_the_lock_from_its_start(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "LOCK_TIMEOUT_MS", 100)
    impatient = Database(open_engine(url), database.now)
    with (
        database.writing(),
        pytest.raises(DatabaseNotWritable, match="lock timeout"),
        impatient.writing(),
    ):
        pass
    # the connection whose wait timed out can still be used
    with impatient.writing() as session:
        session.add(base_row())
    impatient.engine.dispose()


def test_a_waiting_writer_sees_the_commit_it_waited_for(database: Database) -> None:
    seen: list[int] = []

    def wait_and_count() -> None:
        with database.writing() as session:
            seen.append(session.query(BaseRow).count())

    waiting = threading.Thread(target=wait_and_count)
    with database.writing() as session:
        waiting.start()
        blocked = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while not session.scalar(blocked):
            waiting.join(0.01)
        session.add(base_row())
    waiting.join()
    assert seen == [1]


def test_connections_that_the_server_dropped_are_replaced(database: Database) -> None:
    with database.reading() as one, database.reading() as other:
        one.query(BaseRow).count()
        other.query(BaseRow).count()
    kill_other_connections(database)
    for _ in range(3):
        with database.reading() as session:
            assert session.query(BaseRow).count() == 0


def test_a_connection_lost_while_reading_is_reported_on_one_line(database: Database) -> None:
    with (
        pytest.raises(DatabaseNotReadable, match="terminating connection") as caught,
        database.reading() as session,
    ):
        session.query(BaseRow).count()
        kill_other_connections(database)
        session.query(BaseRow).count()
    assert "\n" not in str(caught.value)


def test_a_connection_lost_while_writing_undoes_the_write(database: Database, url: str) -> None:
    other = open_engine(url)
    with pytest.raises(DatabaseNotWritable), database.writing() as session:
        session.add(base_row())
        session.flush()
        mine = session.scalar(text("SELECT pg_backend_pid()"))
        with other.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
        session.query(BaseRow).count()
    other.dispose()
    with database.reading() as session:
        assert session.query(BaseRow).count() == 0


def test_a_text_with_a_zero_byte_is_refused_and_changes_nothing(database: Database) -> None:
    with pytest.raises(InvalidValue, match="NUL"), database.writing() as session:
        session.add(base_row("a\0b"))
    with database.reading() as session:
        assert session.query(BaseRow).count() == 0


def test_an_unreachable_server_is_reported_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotReadable, match=r"postgresql://127\.0\.0\.1:1/name cannot be") as caught:
        Registry.open("postgresql+psycopg://me:secret@127.0.0.1:1/name?password=secret", tmp_path)
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.__cause__)
    assert "\n" not in str(caught.value)


def test_a_missing_database_is_reported_by_name(url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotReadable, match='database "missing" does not exist'):
        Registry.open(url.rpartition("/")[0] + "/missing", tmp_path)


def test_a_database_with_another_encoding_than_utf8_is_refused(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.create("template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(DatabaseUnusable, match="its encoding is LATIN1 instead of UTF8"):
        Registry.open(url, tmp_path)
    postgres.drop(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_usual_address_schemes_are_accepted(url: str, tmp_path: Path, scheme: str) -> None:
    with Registry.open(f"{scheme}://{url.partition('://')[2]}", tmp_path) as registry:
        assert registry.revision() == 0


def test_a_missing_driver_is_reported_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(PostgresDriverMissing, match=r'pip install "psycopg\[binary\]>=3\.2,<4"'):
        open_engine("postgresql+psycopg://me:secret@host/name")


def test_the_displayed_address_has_no_user_password_or_options() -> None:
    url = make_url("postgresql+psycopg://me:secret@host:5433/name?sslpassword=secret")
    assert location(url) == "postgresql://host:5433/name"


def test_a_write_whose_machine_says_nothing_more_does_not_hold_up_the_others(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "SILENT_MS", 100)
    silent = Database(open_engine(url), database.now)
    for opened in (silent.writing, silent.writing_row):
        with pytest.raises(DatabaseNotWritable), opened() as session:
            session.add(base_row(opened.__name__))
            session.flush()
            time.sleep(0.3)
            with database.writing() as other:
                other.add(base_row(f"beside {opened.__name__}"))
    with database.reading() as session:
        names = session.scalars(select(BaseRow.name).order_by(BaseRow.name)).all()
    assert names == ["beside writing", "beside writing_row"]
    silent.engine.dispose()


def test_a_write_may_be_allowed_to_pause(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "SILENT_MS", 100)
    slow = Database(open_engine(url), database.now)
    with slow.writing() as session:
        slow.allow_pauses(session)
        time.sleep(0.3)
        session.add(base_row("late"))
    slow.engine.dispose()
