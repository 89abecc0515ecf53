"""The schema that migrations build is the schema of the models."""

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from registry import DatabaseTooNew, DatabaseUnusable, Registry
from registry.db import open_engine, sqlite_file
from registry.models import Table


def database_file(url: str) -> str:
    return url.removeprefix("sqlite:///")


def test_the_models_equal_what_the_migrations_build(registry: Registry, url: str) -> None:
    with create_engine(url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_the_migrations_build_the_same_constraints_and_table_options(
    registry: Registry, url: str, tmp_path: Path
) -> None:
    direct, migrated = (open_engine(sqlite_file(one)) for one in (f"sqlite:///{tmp_path / 'direct.db'}", url))
    with direct.execution_options(writes=True).begin() as connection:
        Table.metadata.create_all(connection)
    for table in Table.metadata.tables:
        for kind in ("get_check_constraints", "get_foreign_keys", "get_unique_constraints", "get_indexes"):
            want, have = (getattr(inspect(engine), kind)(table) for engine in (direct, migrated))
            assert sorted(map(str, have)) == sorted(map(str, want)), (table, kind)
    options = text(
        "SELECT name, wr, strict FROM pragma_table_list WHERE name NOT LIKE 'alembic%' ORDER BY name"
    )
    with direct.connect() as one, migrated.connect() as other:
        assert one.execute(options).all() == other.execute(options).all()


def test_every_table_is_strict(registry: Registry, url: str) -> None:
    rows = (
        sqlite3.connect(database_file(url)).execute("SELECT name, strict FROM pragma_table_list").fetchall()
    )
    strict = {name for name, is_strict in rows if is_strict}
    assert strict == set(Table.metadata.tables)


def test_every_index_and_constraint_has_a_name() -> None:
    for table in Table.metadata.tables.values():
        assert all(one.name for one in (*table.indexes, *table.constraints)), table.name


def test_opening_again_changes_nothing(registry: Registry, url: str, tmp_path: Path) -> None:
    dump = "SELECT name, sql FROM sqlite_master ORDER BY name"
    before = sqlite3.connect(database_file(url)).execute(dump).fetchall()
    for _ in range(2):
        Registry.open(url, tmp_path / "artifacts").close()
    assert sqlite3.connect(database_file(url)).execute(dump).fetchall() == before


def test_several_threads_open_a_new_database_at_once(url: str, tmp_path: Path) -> None:
    begin = threading.Barrier(4)
    revisions = []

    def open_it() -> None:
        begin.wait()
        with Registry.open(url, tmp_path / "artifacts") as registry:
            revisions.append(registry.revision())

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert revisions == [0, 0, 0, 0]


def test_a_database_of_a_newer_program_is_refused_and_left_alone(
    registry: Registry, url: str, tmp_path: Path
) -> None:
    connection = sqlite3.connect(database_file(url))
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    with pytest.raises(DatabaseTooNew, match="9999, which this version doesn't know; update the program"):
        Registry.open(url, tmp_path / "artifacts")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are my notes " * 100)
    with pytest.raises(DatabaseUnusable, match="file is not a database"):
        Registry.open(f"sqlite:///{file}", tmp_path / "artifacts")
    assert file.read_text().startswith("these are my notes")


def test_a_failed_migration_leaves_a_foreign_database_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE runs (mine TEXT)")
    connection.commit()
    with pytest.raises(DatabaseUnusable, match="table runs already exists"):
        Registry.open(f"sqlite:///{file}", tmp_path / "artifacts")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("runs",)]


def test_a_data_folder_that_is_a_file_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DatabaseUnusable, match="can't be used as a registry"):
        Registry.open(f"sqlite:///{tmp_path}/data/registry.db", tmp_path / "artifacts")
