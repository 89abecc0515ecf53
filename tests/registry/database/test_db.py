"""Rules of sessions and columns, which are the same on both databases."""

import threading
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from registry import InvalidValue, ReadOnlySession, UnsupportedDatabase
from registry.database.clock import utc_now
from registry.database.db import Database, UtcTime, insert_into, open_engine
from registry.database.models import BaseRow, DatasetRow, InferenceStatRow


def base_row(name: str = "vit") -> BaseRow:
    return BaseRow(
        name=name, weights_sha256="a" * 64, architecture="vit", embed_dim=384, depth=12, created_at=utc_now()
    )


def test_a_change_in_a_reading_session_raises_even_without_a_flush(database: Database) -> None:
    with pytest.raises(ReadOnlySession, match=r"Database\.writing"), database.reading() as session:
        session.add(base_row())


def test_a_statement_that_bypasses_the_flush_cannot_write_in_a_reading_session(database: Database) -> None:
    with database.reading() as session, pytest.raises(DBAPIError, match="read-?only"):
        session.execute(update(BaseRow).values(name="other"))


def test_an_error_rolls_back_the_write(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as session:
        session.add(base_row())
        session.flush()
        raise ZeroDivisionError
    with database.reading() as session:
        assert session.query(BaseRow).count() == 0


def test_a_reader_does_not_wait_for_a_writer_and_sees_the_state_before(database: Database) -> None:
    with database.writing() as writer:
        writer.add(base_row())
        writer.flush()
        with database.reading() as reader:
            assert reader.query(BaseRow).count() == 0


def test_a_reading_session_sees_one_snapshot(database: Database) -> None:
    with database.reading() as reader:
        assert reader.query(BaseRow).count() == 0
        with database.writing() as writer:
            writer.add(base_row())
        assert reader.query(BaseRow).count() == 0
    with database.reading() as reader:
        assert reader.query(BaseRow).count() == 1


def test_two_writers_that_read_first_both_succeed(database: Database) -> None:
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
        assert {row.name for row in session.query(BaseRow)} == {f"base {number}" for number in range(20)}


def test_writers_that_update_the_same_rows_in_opposite_order_both_succeed(database: Database) -> None:
    names = ["one", "other"]
    with database.writing() as session:
        session.add_all(base_row(name) for name in names)
    begin = threading.Barrier(2)

    def change(order: list[str]) -> None:
        begin.wait()
        for _ in range(10):
            with database.writing() as session:
                for name in order:
                    session.execute(
                        update(BaseRow).where(BaseRow.name == name).values(depth=BaseRow.depth + 1)
                    )

    threads = [threading.Thread(target=change, args=(order,)) for order in (names, names[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.scalars(select(BaseRow.depth)).all() == [32, 32]


def test_a_duplicate_is_refused_by_the_database_itself(database: Database) -> None:
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add_all([base_row(), base_row()])


def test_a_row_that_others_refer_to_cannot_be_deleted(database: Database) -> None:
    with database.writing() as session:
        session.execute(
            text(
                "INSERT INTO datasets (id, fingerprint, name, n_images, n_classes, source_kind, created_at) "
                "VALUES (7, 'f', 'pets', 1, 1, 'zip', 'now')"
            )
        )
        session.execute(
            text(
                "INSERT INTO dataset_classes (dataset_id, idx, name, n_train, n_val, n_test) "
                "VALUES (7, 0, 'cat', 1, 0, 0)"
            )
        )
    with pytest.raises(IntegrityError), database.writing() as session:
        session.execute(text("DELETE FROM datasets"))


def test_an_insert_can_update_or_keep_an_existing_row(database: Database) -> None:
    row = {"name": "vit", "weights_sha256": "a", "architecture": "x", "embed_dim": 1, "depth": 1}
    with database.writing() as session:
        for depth in (1, 2):
            session.execute(
                insert_into(BaseRow)
                .values({**row, "depth": depth, "created_at": utc_now()})
                .on_conflict_do_update(index_elements=["name", "weights_sha256"], set_={"depth": depth})
            )
        ignored = insert_into(BaseRow).values({**row, "depth": 3, "created_at": utc_now()})
        session.execute(ignored.on_conflict_do_nothing())
        assert session.scalars(select(BaseRow.depth)).all() == [2]


def test_text_sorts_and_compares_by_its_bytes(database: Database) -> None:
    names = ["a-b", "ab", "a_c", "B", "é", "z", "Z"]
    with database.writing() as session:
        session.add_all(base_row(name) for name in names)
    with database.reading() as session:
        found = session.scalars(select(BaseRow.name).order_by(BaseRow.name)).all()
        assert found == sorted(names, key=str.encode)
        assert session.scalars(select(BaseRow.name).where(BaseRow.name > "z")).all() == ["é"]


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1])
def test_large_counts_are_stored_exactly(database: Database, number: int) -> None:
    blob = "INSERT INTO blobs (sha256, size, media_type, created_at) VALUES (:digest, :size, 'x', 'now')"
    with database.writing() as session:
        session.execute(text(blob), {"digest": "b" * 64, "size": number})
        assert session.scalar(text("SELECT size FROM blobs")) == number


def test_a_count_that_is_too_large_for_its_column_is_refused(database: Database) -> None:
    values = {"fingerprint": "f", "name": "n", "n_classes": 1, "source_kind": "zip", "created_at": utc_now()}
    with pytest.raises((InvalidValue, OverflowError)), database.writing() as session:
        session.execute(insert(DatasetRow).values(n_images=2**64, **values))
    with database.reading() as session:
        assert session.query(DatasetRow).count() == 0


def test_a_check_constraint_refuses_invalid_values(database: Database) -> None:
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add(InferenceStatRow(version_id=1, hour=utc_now(), n=1, errors=2, sum_ms=1.0, max_ms=1.0))


def test_times_are_utc_text_with_milliseconds() -> None:
    elsewhere = datetime(2026, 1, 1, 2, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
    stored = UtcTime().process_bind_param(elsewhere, None)
    assert stored == "2026-01-01T00:00:00.123+00:00"


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UtcTime().process_bind_param(datetime(2026, 1, 1), None)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://me:secret@host/db?password=secret",
        "postgresql+psycopg2://me:secret@host/db",
        "postgresql+psycopg//me:secret@host/db",
        "postgresql+psycopg://me:secret@host:port/db",
        "no url",
    ],
)
def test_another_address_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(UnsupportedDatabase, match="is neither a SQLite file nor a PostgreSQL") as caught:
        open_engine(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
