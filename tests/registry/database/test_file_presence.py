"""The loss of the registry file under a running app is detected, and no lost change is acknowledged."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from registry import (
    DatabaseNotReadable,
    DatabaseNotWritable,
    DatabaseReplaced,
    NewBase,
    Registry,
    utc_now,
)
from registry.database.db import Database, open_engine
from tests.registry.conftest import only_sqlite

pytestmark = [only_sqlite, pytest.mark.usefixtures("dialect")]

Lose = Callable[[Path], None]


def add(registry: Registry, name: str) -> None:
    registry.bases.ensure(NewBase(name, "a" * 64, "vit", 32, 3))


def names(file: Path) -> list[str]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM bases ORDER BY name")]


def beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def another_registry(file: Path) -> Path:
    other = file.parent / "other" / "other.db"
    with Registry.open(f"sqlite:///{other}", file.parent / "other-artifacts") as registry:
        add(registry, "of another")
    return other


def unlink(file: Path) -> None:
    file.unlink()


def move_away(file: Path) -> None:
    file.rename(file.with_name("moved.db"))


def move_the_folder(file: Path) -> None:
    file.parent.rename(file.parent.with_name("moved"))


def empty(file: Path) -> None:
    os.truncate(file, 0)


def replace_by_a_registry(file: Path) -> None:
    another_registry(file).replace(file)


def replace_by_a_copy_of_itself(file: Path) -> None:
    shutil.copy(file, file.with_name("copy.db"))
    file.with_name("copy.db").replace(file)


def replace_by_a_text(file: Path) -> None:
    file.with_name("text").write_text("This is no database. " * 5000)
    file.with_name("text").replace(file)


def remove_the_log(file: Path) -> None:
    beside(file, "-wal").unlink()


def replace_the_log(file: Path) -> None:
    shutil.copy(beside(file, "-wal"), file.with_name("copy"))
    file.with_name("copy").replace(beside(file, "-wal"))


def remove_the_index(file: Path) -> None:
    beside(file, "-shm").unlink()


def remove_all(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        beside(file, suffix).unlink()


LOSSES = (
    unlink,
    move_away,
    move_the_folder,
    empty,
    replace_by_a_registry,
    replace_by_a_copy_of_itself,
    replace_by_a_text,
    remove_the_log,
    replace_the_log,
    remove_the_index,
    remove_all,
)


@pytest.fixture
def file(database: Database) -> Path:
    assert database.file is not None
    return database.file


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_no_change_is_accepted_once_the_file_is_lost(
    registry: Registry, file: Path, tmp_path: Path, lose: Lose
) -> None:
    add(registry, "before")
    lose(file)
    for _ in range(2):
        with pytest.raises(
            DatabaseReplaced,
            match=r"Stop the app, put the file .*back or restore a backup, and start the app",
        ):
            add(registry, "after")
    with pytest.raises(DatabaseNotReadable, match="no change is saved"):
        registry.revision()
    with pytest.raises(DatabaseReplaced):
        registry.backup(tmp_path / "backup.zip")


@pytest.mark.parametrize("lose", LOSSES[:7], ids=lambda lose: lose.__name__)
def test_no_new_file_is_created_in_place_of_the_lost_one(registry: Registry, file: Path, lose: Lose) -> None:
    lose(file)
    there = file.exists()
    registry._database.engine.dispose()
    with pytest.raises(DatabaseReplaced):
        add(registry, "after")
    assert file.exists() is there


@pytest.mark.parametrize("lose", [unlink, remove_the_log, move_away, replace_by_a_registry, remove_all])
def test_a_copy_of_the_last_state_is_saved_if_it_can_still_be_read(
    registry: Registry, file: Path, lose: Lose
) -> None:
    add(registry, "before")
    lose(file)
    with pytest.raises(DatabaseReplaced, match=r"or its copy backups/registry-rescued-1\.db back"):
        add(registry, "after")
    rescued = file.parent / "backups" / "registry-rescued-1.db"
    assert names(rescued) == ["before"]
    assert [path.name for path in rescued.parent.iterdir()] == [rescued.name]


def test_a_change_is_not_acknowledged_if_its_file_is_lost_meanwhile(database: Database, file: Path) -> None:
    with pytest.raises(DatabaseReplaced), database.writing() as session:
        session.execute(text("UPDATE users SET role = 'admin'"))
        file.unlink()


def test_a_file_that_was_moved_away_works_again_after_its_return(registry: Registry, file: Path) -> None:
    add(registry, "before")
    for _ in range(2):
        move_away(file)
        with pytest.raises(DatabaseReplaced):
            add(registry, "meanwhile")
        file.with_name("moved.db").rename(file)
        add(registry, "after")
    registry.close()
    assert names(file) == ["after", "before"]


def checkpoint(file: Path) -> None:
    """Write the log into the file, as SQLite does by itself from time to time."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def write_over(file: Path, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.truncate(0)
        opened.write(content)


def test_another_registry_copied_over_the_file_is_detected(registry: Registry, file: Path) -> None:
    add(registry, "before")
    checkpoint(file)
    write_over(file, another_registry(file).read_bytes())
    with pytest.raises(DatabaseNotWritable, match="start the app again"):
        add(registry, "after")


def test_an_older_copy_copied_over_the_file_is_detected(registry: Registry, file: Path) -> None:
    checkpoint(file)
    older = file.read_bytes()
    for number in range(200):
        registry.users.ensure("password", str(number), f"user-{number}", "viewer")
    checkpoint(file)
    write_over(file, older)
    with pytest.raises(DatabaseNotWritable, match="start the app again"):
        add(registry, "after")


@pytest.mark.parametrize("content", [b"This is no database. ", b"\0"], ids=["text", "zeros"])
def test_other_content_written_over_the_file_is_detected(
    registry: Registry, file: Path, content: bytes
) -> None:
    add(registry, "before")
    checkpoint(file)
    size = file.stat().st_size
    write_over(file, content * (2 * size // len(content)))
    with pytest.raises(DatabaseNotWritable, match="start the app again"):
        add(registry, "after")


def test_a_truncated_file_is_detected(registry: Registry, file: Path) -> None:
    for number in range(50):
        add(registry, f"base-{number}")
    checkpoint(file)
    add(registry, "before")
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(DatabaseReplaced, match="emptied or truncated"):
        add(registry, "after")


def test_a_truncated_log_is_detected(registry: Registry, file: Path) -> None:
    for number in range(50):
        add(registry, f"base-{number}")
    os.truncate(beside(file, "-wal"), 0)
    with pytest.raises(DatabaseReplaced, match=r"registry\.db-wal was emptied or truncated"):
        add(registry, "after")


def test_a_truncated_index_does_not_end_the_process(registry: Registry, file: Path) -> None:
    add(registry, "before")
    os.truncate(beside(file, "-shm"), 0)
    with pytest.raises(DatabaseReplaced, match=r"registry\.db-shm was emptied or truncated"):
        registry.revision()
    add(registry, "after")
    registry.close()
    assert names(file) == ["after", "before"]


@pytest.mark.parametrize(
    "words",
    ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(RESTART)", "DELETE FROM bases"],
)
def test_operations_of_sqlite_itself_are_not_taken_for_a_loss(
    registry: Registry, file: Path, words: str
) -> None:
    for number in range(200):
        add(registry, f"base-{number}")
    for number in range(3):
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("DELETE FROM bases WHERE name > 'base-1'")
            connection.execute(words)
        add(registry, f"after-{number}")
    assert "after-2" in names(file)


def test_many_emptied_logs_are_not_taken_for_a_loss(registry: Registry, file: Path) -> None:
    with Registry.open(f"sqlite:///{file}", file.parent / "artifacts") as other:
        for number in range(60):
            add(registry if number % 2 else other, f"base-{number}")
            if number % 7 == 0:
                checkpoint(file)
            if number % 20 == 0:
                (registry if number % 40 else other)._database.engine.dispose()
    registry._database.engine.dispose()
    add(registry, "last")
    assert len(names(file)) == 61


def test_touching_the_file_is_not_taken_for_a_loss(registry: Registry, file: Path) -> None:
    add(registry, "before")
    os.utime(file)
    add(registry, "after")
    assert names(file) == ["after", "before"]


def test_a_restored_backup_is_not_taken_for_a_loss(registry: Registry, file: Path, tmp_path: Path) -> None:
    add(registry, "before")
    with Registry.open(f"sqlite:///{file}", registry.blobs.folder or tmp_path) as other:
        other.backup(tmp_path / "backup.zip")
        add(registry, "after")
        other.restore(tmp_path / "backup.zip", replace=True, keep_in=tmp_path / "kept", actor="me")
        add(registry, "again")
    assert names(file) == ["again", "before"]


def test_every_registry_has_a_permanent_number_of_its_own(tmp_path: Path) -> None:
    def number(name: str) -> int:
        with Registry.open(f"sqlite:///{tmp_path / name}", tmp_path / "artifacts"):
            pass
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            return int(connection.execute("PRAGMA application_id").fetchone()[0])

    assert 0 < number("one.db") == number("one.db") != number("other.db")


def test_the_error_is_both_unreadable_and_unwritable_and_survives_pickling() -> None:
    error = DatabaseReplaced("/data/registry.db", "was emptied", Path("/data/backups/copy.db"))
    assert isinstance(error, DatabaseNotReadable)
    assert isinstance(error, DatabaseNotWritable)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert "/data" not in str(error)


def test_a_damaged_file_is_reported_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("This is no database. " * 500)
    database = Database(open_engine(f"sqlite:///{tmp_path / 'text.db'}"), utc_now)
    with pytest.raises(DatabaseNotReadable, match="not a database"), database.reading() as session:
        session.execute(text("SELECT 1 FROM sqlite_master"))
