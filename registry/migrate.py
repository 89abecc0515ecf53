"""Bringing a database to the present schema with Alembic, without an alembic.ini."""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from registry.db import Database
from registry.errors import DatabaseTooNew, DatabaseUnusable

LOCK_SECONDS = 60

# Alembic keeps its environment in module globals, which the file lock of another database doesn't guard
_alembic = threading.Lock()


def alembic_config(connection: Connection) -> Config:
    """The configuration with which Alembic commands work on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def migrate(database: Database, file: Path) -> None:
    """Create or upgrade the database in one transaction; interrupted, it leaves the database as it was.

    A lock file beside the database makes other processes wait for it, so two may open a new database at once.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _alembic, FileLock(f"{file}.lock", timeout=LOCK_SECONDS), database.writer.begin() as connection:
            _upgrade(connection, file)
    except Timeout as error:
        raise DatabaseUnusable(
            str(file), f"another process has been upgrading it for {LOCK_SECONDS} s"
        ) from error
    except OSError as error:
        raise DatabaseUnusable(str(file), error.strerror or str(error)) from error
    except DatabaseError as error:
        raise DatabaseUnusable(str(file), str(error.orig)) from error


def _upgrade(connection: Connection, file: Path) -> None:
    config = alembic_config(connection)
    scripts = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if present is not None and present not in known:
        raise DatabaseTooNew(str(file), present)
    if present != scripts.get_current_head():
        command.upgrade(config, "head")
