"""Detection of a SQLite file that was deleted, moved or replaced while connections have it open.

A connection continues with the file that it opened, even after the file or the log beside it was deleted,
moved or replaced. Whatever such a connection writes would be lost, so every later change must be refused.

The file itself is only accessed through `stat` and SQLite: closing any other handle on it would release the
locks that this process holds.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from registry.database.errors import DatabaseReplaced
from registry.errors import one_line

FOLDER = "backups"
TRUNCATED = "was emptied or truncated"
LOG = "-wal"
INDEX = "-shm"
_BUSY_TIMEOUT_MS = 20_000
_FRAME_HEADER, _LOG_HEADER = 24, 32
_LOGGER = logging.getLogger(__name__)

FileId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """The files that a connection has open, by the suffix that each adds to the name of the database.

    Attributes:
        ids: device and inode.
        sizes: bytes at the time of opening.
    """

    ids: Mapping[str, FileId]
    sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Facts:
    """Facts that two connections to the same database agree on while nothing is written.

    Attributes:
        number: the number that identifies the database, 0 before it has one.
        newest_event: the highest id of an audit event, which no restored backup lowers.
        others: further numbers that change with the database.
    """

    number: int
    newest_event: int
    others: tuple[int, ...]

    def may_follow(self, earlier: _Facts) -> bool:
        """Return whether these facts can belong to the same database as earlier ones."""
        return earlier.number in (0, self.number) and earlier.newest_event <= self.newest_event


class FilePresence:
    """Checks that a database file is still in place, as long as this process has connections to it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._paths = {suffix: file.with_name(file.name + suffix) for suffix in ("", LOG, INDEX)}
        self._id: FileId | None = None
        self._facts = _Facts(0, 0, ())
        self._verified: tuple[int, int] | None = None
        self._largest: dict[tuple[str, FileId], int] = {}
        self._rescued: Path | None = None
        self._tried_to_rescue = False

    def connect(self) -> sqlite3.Connection:
        """Connect to the file that the first connection opened.

        Only the first connection may create a file. Otherwise SQLite would create a new one in place of a
        lost one.

        Raises:
            DatabaseReplaced: if the file is not at its path any more.
        """
        if self._id is not None and self._stat("", self._id).st_size == 0:
            raise self._lost("", TRUNCATED)
        mode = "rwc" if self._id is None else "rw"
        return sqlite3.connect(f"{self._file.as_uri()}?mode={mode}", uri=True, check_same_thread=False)

    def open_files(self) -> OpenFiles:
        """Return the files that a new connection has open.

        Raises:
            DatabaseReplaced: if they are not those of the first connection.
        """
        ids, sizes = {}, {}
        for suffix in ("", LOG, INDEX):
            path = self._path(suffix)
            if path.exists():
                found = path.stat()
                ids[suffix], sizes[suffix] = (found.st_dev, found.st_ino), found.st_size
        if self._id is None:
            self._id = ids.get("")
        if ids.get("") != self._id:
            raise self._lost("", "was replaced by another file")
        return OpenFiles(ids, sizes)

    def check(self, opened: OpenFiles, connection: sqlite3.Connection | None = None) -> None:
        """Raise DatabaseReplaced unless all files that a connection has open are at their paths.

        Args:
            opened: the files that the connection has open.
            connection: a connection with these files and without a pending change. From it, a copy of the
                database is saved that would otherwise be lost when this process ends.
        """
        try:
            found = {suffix: self._stat(suffix, known) for suffix, known in opened.ids.items()}
        except DatabaseReplaced as error:
            if connection is None or self._tried_to_rescue:
                raise
            self._tried_to_rescue = True
            _LOGGER.error("%s", error)
            self._rescued = self._rescue(connection)
            raise DatabaseReplaced(error.location, error.reason, self._rescued) from None
        # a lost file may come back and be lost again
        self._tried_to_rescue, self._rescued = False, None
        if found[""].st_size == 0:
            raise self._lost("", TRUNCATED)
        if INDEX in found and found[INDEX].st_size < opened.sizes[INDEX]:
            # the index is mapped into memory, and reading past its end would kill the process; SQLite
            # rebuilds it from the log when it finds zeros
            os.truncate(self._path(INDEX), opened.sizes[INDEX])
            raise self._lost(INDEX, TRUNCATED)

    def verify(self, opened: OpenFiles, connection: sqlite3.Connection) -> None:
        """Raise DatabaseReplaced if anything other than SQLite wrote to the file or truncated it.

        The content is compared with what a new connection reads, but only after the file has changed, which
        happens when SQLite empties the log. The caller holds the write lock.

        Args:
            opened: the files that the connection has open.
            connection: the connection that is about to write.
        """
        found = self._stat("", opened.ids[""])
        state, sizes = (found.st_size, found.st_mtime_ns), {("", opened.ids[""]): found.st_size}
        if LOG in opened.ids:
            sizes[LOG, opened.ids[LOG]] = self._stat(LOG, opened.ids[LOG]).st_size
        truncated = [
            suffix for (suffix, file), size in sizes.items() if size < self._largest.get((suffix, file), 0)
        ]
        if state != self._verified or truncated:
            self._compare(connection, truncated, sizes.get((LOG, opened.ids.get(LOG, (0, 0))), 0))
        self._verified, self._largest = state, sizes

    def _compare(self, connection: sqlite3.Connection, truncated: list[str], log_size: int) -> None:
        """Compare with a new connection, because this one does not read again what it has cached."""
        reason = ""
        try:
            with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=rw", uri=True)) as other:
                other.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
                facts = _facts(connection)
                same = facts == _facts(other) and facts.may_follow(self._facts)
                if same and (not truncated or _is_intact(other, log_size)):
                    self._facts = facts
                    return
        except sqlite3.DatabaseError as error:
            reason = f" ({one_line(error)})"
        if truncated:
            raise self._lost(truncated[0], TRUNCATED)
        raise self._lost("", f"was changed by another program{reason}")

    def _stat(self, suffix: str, known: FileId) -> os.stat_result:
        try:
            found = self._paths[suffix].stat()
        except FileNotFoundError:
            raise self._lost(suffix, "was deleted or moved away") from None
        except OSError as error:
            raise self._lost(suffix, f"could not be found any more ({error.strerror})") from error
        if (found.st_dev, found.st_ino) != known:
            raise self._lost(suffix, "was replaced by another file")
        return found

    def _path(self, suffix: str) -> Path:
        return self._paths[suffix]

    def _lost(self, suffix: str, what: str) -> DatabaseReplaced:
        return DatabaseReplaced(str(self._path(suffix)), what, self._rescued)

    def _rescue(self, connection: sqlite3.Connection) -> Path | None:
        """Save what the connection still reads as a file that can replace the lost one."""
        folder = self._file.parent / FOLDER
        names = (f"{self._file.stem}-rescued-{number}.db" for number in range(1, 1000))
        try:
            folder.mkdir(exist_ok=True)
            copy = next(path for path in map(folder.joinpath, names) if not path.exists())
            with closing(sqlite3.connect(copy)) as target:
                connection.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
                is_intact: bool = target.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except (sqlite3.Error, OSError, StopIteration) as error:
            _LOGGER.error("No copy of the lost registry could be saved (%s).", one_line(error))
            return None
        if not is_intact:
            copy.unlink()
            return None
        _LOGGER.error("A copy of the lost registry is saved as %s.", copy)
        return copy


def _facts(connection: sqlite3.Connection) -> _Facts:
    pragmas = ("application_id", "schema_version", "page_count", "freelist_count")
    number, *others = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas)
    newest = []
    for table in ("audit_events", "runs"):
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None:
            newest += connection.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()
    return _Facts(number, newest[0] if newest else 0, (*others, *newest))


def _is_intact(connection: sqlite3.Connection, log_size: int) -> bool:
    """Return whether a new connection can read every page, and the log is as long as its index says."""
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        return False
    _busy, frames, _done = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    return bool(frames <= 0 or _LOG_HEADER + frames * (page + _FRAME_HEADER) <= log_size)
