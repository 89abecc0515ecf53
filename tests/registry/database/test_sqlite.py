"""Rules that only SQLite has."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from registry import (
    DatabaseNotReadable,
    DatabaseNotWritable,
    DatasetClass,
    NewDataset,
    Registry,
    SqliteTooOld,
    database_file,
)
from registry.database import sqlite as sqlite_module
from registry.database.db import Database, open_engine
from registry.database.models import BaseRow
from registry.database.sqlite import copy_database
from tests.registry.conftest import only_sqlite
from tests.registry.database.test_db import base_row

pytestmark = [only_sqlite, pytest.mark.usefixtures("dialect")]


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1), ("busy_timeout", 20_000)],
)
def test_every_connection_has_the_pragma(database: Database, pragma: str, value: object) -> None:
    with database.reading() as one, database.reading() as other:
        assert one.execute(text(f"PRAGMA {pragma}")).scalar() == value
        assert other.execute(text(f"PRAGMA {pragma}")).scalar() == value


def test_a_write_holds_the_lock_from_its_start(database: Database) -> None:
    other = sqlite3.connect(str(database.file), timeout=0, isolation_level=None)
    with database.writing(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_a_full_disk_is_reported_and_the_rows_are_kept(database: Database) -> None:
    with database.writing() as session:
        session.add(base_row("first"))
    with pytest.raises(DatabaseNotWritable, match="full"), database.writing() as session:
        session.execute(text("PRAGMA max_page_count=1"))
        session.add(base_row("x" * 1_000_000))
    with database.reading() as session:
        assert [row.name for row in session.query(BaseRow)] == ["first"]


def test_a_deleted_database_file_is_reported(database: Database, tmp_path: Path) -> None:
    database.engine.dispose()
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(DatabaseNotReadable, match="was deleted or moved away"), database.reading() as session:
        session.query(BaseRow).count()


def test_a_copy_is_a_single_file_with_the_last_committed_state(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        session.add(base_row("committed"))
    with database.writing() as session:
        session.add(base_row("not yet"))
        session.flush()
        copy_database(Path(str(database.file)), tmp_path / "copy.db")
    assert [file.name for file in tmp_path.glob("copy.db*")] == ["copy.db"]
    copied = sqlite3.connect(tmp_path / "copy.db").execute("SELECT name FROM bases").fetchall()
    assert copied == [("committed",)]


@pytest.mark.parametrize("name", ["100 %", "100%25", "what?mode=ro", "no #1", "a&b=c;d", "ä ß", "x@y:z"])
def test_a_folder_of_any_name_holds_its_own_registry(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "registry.db"
    url = URL.create("sqlite", database=str(file))
    with Registry.open(url, tmp_path / "artifacts") as registry:
        registry.datasets.ensure(NewDataset("f" * 64, "cats", "zip", (DatasetClass("cat", 2, 0, 0),)))
        assert registry.location == str(file)
    assert database_file(url) == file
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "artifacts"])
    with Registry.open(url, tmp_path / "artifacts") as registry:
        assert registry.datasets.get("f" * 64).name == "cats"


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sqlite_module.sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(SqliteTooOld, match=r"needs 3\.37\.0 or newer"):
        open_engine(f"sqlite:///{tmp_path / 'x.db'}")


def test_writing_to_sqlite_does_not_import_the_parts_for_postgresql(tmp_path: Path) -> None:
    url, artifacts = f"sqlite:///{tmp_path / 'registry.db'}", str(tmp_path / "artifacts")
    Registry.open(url, artifacts).close()  # the migrations of a new database do import them
    code = (
        f"import sys; from registry import Registry; registry = Registry.open({url!r}, {artifacts!r}); "
        "registry.nodes.report('node', 'machine', 1); registry.close(); "
        "sys.exit('sqlalchemy.dialects.postgresql' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
