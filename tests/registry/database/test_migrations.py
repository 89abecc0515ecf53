"""The migrations build the schema of the models and keep existing rows correct."""

import logging
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError

from registry import DatabaseTooNew, DatabaseUnusable, Registry
from registry.database.alembic_run import alembic_config
from registry.database.clock import utc_now
from registry.database.db import Database, open_engine
from registry.database.migrate import head
from registry.database.migrations import FOLDER, revisions
from registry.database.models import Table
from registry.database.postgres import advance_sequences
from tests.registry.conftest import FakeClock, only_postgres, only_sqlite
from tests.registry.old_rows import ROWS, day
from tests.registry.schema import POSTGRES_COPY, SQLITE_COPY, schema_of


def at_revision(url: str, revision: str) -> None:
    """Create a database of an older schema with rows of its time."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(exist_ok=True)
    database = Database(open_engine(url), utc_now)
    with database.writer.begin() as connection:
        command.upgrade(alembic_config(connection), revision)
        for name, rows in ROWS[revision].items():
            columns = [sa.column(key) for key in rows[0]]
            connection.execute(sa.insert(sa.table(name, *columns)), rows)
        if connection.dialect.name == "postgresql":
            # the ids of versions are written by hand, so their sequence must be advanced
            advance_sequences(connection, [Table.metadata.tables["adapter_versions"]])
    database.engine.dispose()


def ask(url: str, question: str) -> list[tuple[object, ...]]:
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(question))]
    engine.dispose()
    return rows


def backups(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "data" / "backups").glob("*"))


def test_the_models_equal_what_the_migrations_build(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_the_migrations_build_the_same_constraints_and_columns_as_the_models(
    database: Database, url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database.file is not None:
        direct = open_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    else:
        direct = open_engine(request.getfixturevalue("postgres").create())
    with Database(direct, utc_now).writer.begin() as connection:
        Table.metadata.create_all(connection)
    for table in Table.metadata.tables:
        for kind in ("columns", "check_constraints", "foreign_keys", "unique_constraints", "indexes"):
            want, have = (
                getattr(inspect(engine), f"get_{kind}")(table) for engine in (direct, database.engine)
            )
            assert sorted(map(str, have)) == sorted(map(str, want)), (table, kind)
    direct.dispose()


def test_the_schema_is_the_committed_one(database: Database) -> None:
    copy = SQLITE_COPY if database.file is not None else POSTGRES_COPY
    with database.engine.connect() as connection:
        found = schema_of(connection)
    assert found == copy.read_text(encoding="utf-8"), "python -m tests.registry.schema renews the copies"


@only_sqlite
def test_every_table_is_strict_and_has_its_rowid_as_the_models_say(
    database: Database, tmp_path: Path
) -> None:
    direct = open_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    with Database(direct, utc_now).writer.begin() as connection:
        Table.metadata.create_all(connection)
    options = text(
        "SELECT name, wr, strict FROM pragma_table_list WHERE name NOT LIKE 'alembic%' ORDER BY name"
    )
    with direct.connect() as one, database.engine.connect() as other:
        rows = other.execute(options).all()
        assert one.execute(options).all() == rows
    assert {name for name, _, is_strict in rows if is_strict} == set(Table.metadata.tables)


def test_every_index_and_constraint_has_a_name() -> None:
    for table in Table.metadata.tables.values():
        assert all(one.name for one in (*table.indexes, *table.constraints)), table.name


def test_opening_again_changes_nothing_and_creates_no_copy(
    registry: Registry, url: str, tmp_path: Path
) -> None:
    def schema() -> str:
        with registry._database.engine.connect() as connection:
            return schema_of(connection)

    before = schema()
    for _ in range(2):
        Registry.open(url, tmp_path / "artifacts").close()
    assert schema() == before
    assert backups(tmp_path) == []


def test_several_threads_can_open_a_new_database_at_the_same_time(url: str, tmp_path: Path) -> None:
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


def test_there_are_example_rows_of_every_older_schema() -> None:
    assert {*revisions()} - {head()} == set(ROWS)


def test_alembic_finds_the_same_revisions_in_the_same_order() -> None:
    found = [script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()]
    assert found == [*reversed(revisions())]


@pytest.mark.parametrize("revision", list(ROWS))
def test_a_database_of_every_older_schema_opens_with_its_rows(
    url: str, tmp_path: Path, revision: str
) -> None:
    at_revision(url, revision)
    with Registry.open(url, tmp_path / "artifacts") as registry:
        assert [adapter.slug for adapter in registry.catalog.adapters()] == ["flowers", "pets"]
        assert [version.ref for version in registry.catalog.versions("pets")] == ["pets@2", "pets@1"]
        assert {run.status for run in registry.runs.list()} == {"completed", "failed"}
        assert [point.step for point in registry.runs.metrics("a" * 32)["loss"]] == [0, 1, 2]
    assert ask(url, "SELECT version_num FROM alembic_version") == [(head(),)]


def test_the_team_catalog_is_filled_from_the_first_schema(url: str, tmp_path: Path) -> None:
    at_revision(url, "0001")
    Registry.open(url, tmp_path / "artifacts").close()

    publishers = "SELECT manifest_sha256, created_by FROM adapter_versions ORDER BY id"
    assert ask(url, publishers) == [("m1", "ann"), ("m2", "bob"), ("m3", "unknown")]
    assert ask(url, "SELECT slug, owner FROM adapters ORDER BY id") == [
        ("pets", "ann"),
        ("flowers", "unknown"),
    ]
    summaries = "SELECT document, versions, newest_id, base_id, adapter_type, accuracy, published_at"
    assert ask(url, f"{summaries} FROM adapter_summaries ORDER BY adapter_id") == [
        # the second version of pets is withdrawn, so the first is the newest
        ("pets\npets\ncats & dogs\ncat\ndog", 2, 1, 1, "LORA", 0.5, day(1, 1)),
        ("flowers\nblümen\n\nrose", 1, 3, 1, "LINEAR", None, day(3, 1)),
    ]
    assert ask(url, "SELECT created_by, error_kind FROM runs") == [("unknown", None)] * 2
    assert ask(url, "SELECT details FROM bases") == [("{}",)]


def test_users_of_the_second_schema_are_kept_without_passwords(url: str, tmp_path: Path) -> None:
    at_revision(url, "0002")
    with Registry.open(url, tmp_path / "artifacts") as registry:
        assert [(user.username, user.role) for user in registry.users.list()] == [
            ("ann", "admin"),
            ("bob", "viewer"),
        ]
        assert registry.users.password_hash("bob") is None
        registry.users.set_password("bob", "scrypt$1", actor="ann")
        assert registry.catalog.resolve("pets@production").ref == "pets@1"


def test_history_cannot_be_changed_after_an_upgrade(url: str, tmp_path: Path) -> None:
    at_revision(url, "0001")
    with Registry.open(url, tmp_path / "artifacts") as registry:
        for statement in (
            "UPDATE adapter_versions SET created_by = 'mallory'",
            "UPDATE adapter_versions SET config = '{}'",
            "DELETE FROM adapter_versions",
            "UPDATE evaluations SET accuracy = 1",
            "DELETE FROM evaluations",
            "UPDATE version_files SET path = 'x'",
            "DELETE FROM version_files",
            "UPDATE adapters SET next_version = 1",
            "DELETE FROM adapters",
            "UPDATE audit_events SET actor = 'mallory'",
            "DELETE FROM audit_events",
        ):
            refused = pytest.raises(IntegrityError, match="can not be|never given again")
            with refused, registry._database.writing() as session:
                session.execute(text(statement))
        with registry._database.writing() as session:
            session.execute(text("UPDATE adapter_versions SET withdrawn_reason = 'mislabelled'"))
            session.execute(text("UPDATE adapters SET next_version = next_version + 1"))


def test_an_upgraded_database_publishes_with_the_next_free_ids(url: str, tmp_path: Path) -> None:
    at_revision(url, "0001")
    with Registry.open(url, tmp_path / "artifacts") as registry:
        registry.catalog.archive("pets", actor="ann")
        assert registry.revision() == 4


@only_sqlite
def test_an_upgrade_is_logged_and_keeps_a_copy_of_the_old_database(
    url: str, tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    at_revision(url, "0001")
    with (
        caplog.at_level(logging.WARNING),
        Registry.open(url, tmp_path / "artifacts", clock=clock) as registry,
    ):
        assert registry.upgrade is not None
        (copy,) = backups(tmp_path)
        assert (registry.upgrade.before, registry.upgrade.after) == ("0001", head())
        assert registry.upgrade.backup == copy
    assert f"from schema 0001 to {head()}; a copy of the old database is {copy}." in caplog.text
    kept = sqlite3.connect(copy)
    assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    assert kept.execute("SELECT slug FROM adapters ORDER BY id").fetchall() == [("pets",), ("flowers",)]
    assert kept.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@only_sqlite
def test_only_the_newest_copies_are_kept_and_other_files_stay(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    folder = tmp_path / "data" / "backups"
    folder.mkdir(parents=True)
    old = [folder / f"registry-schema-{number:04}-20250101T00000{number}.000000.db" for number in range(4)]
    for file in [*old, folder / "mine.db"]:
        file.write_text("")
    at_revision(url, "0001")
    Registry.open(url, tmp_path / "artifacts", clock=clock).close()
    names = [file.name for file in backups(tmp_path)]
    assert names == ["mine.db", "registry-schema-0001-20260101T000001.000000.db", old[2].name, old[3].name]


@only_sqlite
def test_a_database_that_cannot_be_copied_is_not_upgraded(url: str, tmp_path: Path) -> None:
    at_revision(url, "0001")
    (tmp_path / "data" / "backups").write_text("in the way")
    with pytest.raises(DatabaseUnusable, match="File exists"):
        Registry.open(url, tmp_path / "artifacts")
    assert ask(url, "SELECT version_num FROM alembic_version") == [("0001",)]


@only_sqlite
def test_an_empty_database_is_upgraded_without_a_copy(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROWS, "0001", {})
    at_revision(url, "0001")
    with Registry.open(url, tmp_path / "artifacts") as registry:
        assert registry.upgrade is None
    assert backups(tmp_path) == []


@only_postgres
def test_an_upgrade_on_a_server_logs_that_no_copy_is_made(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at_revision(url, "0001")
    with caplog.at_level(logging.WARNING), Registry.open(url, tmp_path / "artifacts") as registry:
        assert registry.upgrade is not None
        assert registry.upgrade.backup is None
    assert "have one by pg_dump or loravit_web backup" in caplog.text
    assert "tester" not in caplog.text


def test_a_failed_upgrade_changes_nothing(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_revision(url, "0001")
    engine = open_engine(url)

    def state() -> tuple[str, object]:
        with engine.connect() as connection:
            return schema_of(connection), connection.execute(text("SELECT * FROM adapter_versions")).all()

    def fail_at_the_end(config: object, revision: str) -> None:
        upgrade(config, revision)
        connection: Connection = config.attributes["connection"]  # type: ignore[attr-defined]
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    before, upgrade = state(), command.upgrade
    monkeypatch.setattr(command, "upgrade", fail_at_the_end)
    with pytest.raises(DatabaseUnusable, match="nowhere"):
        Registry.open(url, tmp_path / "artifacts")
    assert state() == before
    engine.dispose()
    monkeypatch.undo()
    with Registry.open(url, tmp_path / "artifacts") as registry:
        assert len(registry.catalog.adapters()) == 2


def test_a_database_of_a_newer_program_is_refused_and_left_alone(
    registry: Registry, database: Database, url: str, tmp_path: Path
) -> None:
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseTooNew, match="9999, which this version does not know. Update the program"):
        Registry.open(url, tmp_path / "artifacts")
    assert ask(url, "SELECT version_num FROM alembic_version") == [("9999",)]


@only_sqlite
def test_a_file_that_is_not_a_database_is_refused_and_left_alone(tmp_path: Path, dialect: str) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are my notes " * 100)
    with pytest.raises(DatabaseUnusable, match="file is not a database"):
        Registry.open(f"sqlite:///{file}", tmp_path / "artifacts")
    assert file.read_text().startswith("these are my notes")


def test_a_failed_migration_does_not_change_a_foreign_database(url: str, tmp_path: Path) -> None:
    if url.startswith("sqlite"):
        (tmp_path / "data").mkdir()
    foreign = Database(open_engine(url), utc_now)
    with foreign.writing() as session:
        session.execute(text("CREATE TABLE runs (mine TEXT)"))
    with pytest.raises(DatabaseUnusable, match=r"runs.* already exists"):
        Registry.open(url, tmp_path / "artifacts")
    assert inspect(foreign.engine).get_table_names() == ["runs"]
    foreign.engine.dispose()


@only_sqlite
def test_a_data_folder_that_is_a_file_is_reported(url: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DatabaseUnusable, match="cannot be used as a registry"):
        Registry.open(url, tmp_path / "artifacts")
