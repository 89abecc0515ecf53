"""Whether the SQLite file that connections have open is still the database at its path.

A connection goes on with the file that it opened, also after somebody deleted, moved or replaced that file or
the log beside it. Nobody would find what such a connection writes, so no change may be accepted from then on.

The file itself is only looked at through `stat` and SQLite: closing any other handle on it would drop the
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
CUT = "was emptied or cut short"
LOG = "-wal"
INDEX = "-shm"
_BUSY_TIMEOUT_MS = 20_000
_FRAME_HEADER, _LOG_HEADER = 24, 32
_LOGGER = logging.getLogger(__name__)

FileId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Held:
    """The files that a connection has open, by what is added to the name of the database.

    Attributes:
        ids: device and inode.
        sizes: bytes, when they were opened.
    """

    ids: Mapping[str, FileId]
    sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What two connections to one database agree on while nobody writes.

    Attributes:
        number: the database's own, 0 before it has one.
        newest_event: the highest id in the history of changes, which no restored backup lowers.
    """

    number: int
    newest_event: int
    others: tuple[int, ...]

    def may_follow(self, earlier: _Facts) -> bool:
        """Whether the database of these facts can have been that of the earlier ones."""
        return earlier.number in (0, self.number) and earlier.newest_event <= self.newest_event


class Presence:
    """What is known of one database file, for as long as this process has connections to it."""

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
        """Connect to the file of the first connection; DatabaseReplaced if it is not at its path.

        Only the first connection may make a file: SQLite would make another one in the place of a lost one.
        """
        if self._id is not None and self._stat("", self._id).st_size == 0:
            raise self._lost("", CUT)
        mode = "rwc" if self._id is None else "rw"
        return sqlite3.connect(f"{self._file.as_uri()}?mode={mode}", uri=True, check_same_thread=False)

    def held(self) -> Held:
        """Return what a connection that was just made has open; DatabaseReplaced if that is another file."""
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
        return Held(ids, sizes)

    def check(self, held: Held, connection: sqlite3.Connection | None = None) -> None:
        """Raise DatabaseReplaced unless all that a connection has open is at its path.

        Args:
            connection: one that has these files open and no change under way. From it a copy is saved of
                what would otherwise be gone when this process ends.
        """
        try:
            found = {suffix: self._stat(suffix, known) for suffix, known in held.ids.items()}
        except DatabaseReplaced as error:
            if connection is None or self._tried_to_rescue:
                raise
            self._tried_to_rescue = True
            _LOGGER.error("%s", error)
            self._rescued = self._rescue(connection)
            raise DatabaseReplaced(error.location, error.reason, self._rescued) from None
        # what was lost may come back, and be lost again
        self._tried_to_rescue, self._rescued = False, None
        if found[""].st_size == 0:
            raise self._lost("", CUT)
        if INDEX in found and found[INDEX].st_size < held.sizes[INDEX]:
            # the index is mapped into memory, where a look past its end would kill the process; SQLite makes
            # a new one of the log when it finds zeros
            os.truncate(self._path(INDEX), held.sizes[INDEX])
            raise self._lost(INDEX, CUT)

    def verify(self, held: Held, connection: sqlite3.Connection) -> None:
        """Raise DatabaseReplaced if somebody else than SQLite wrote into the file or cut it.

        Only after the file changed, which it does now and then when SQLite empties the log, is it compared
        with what a new connection reads. The caller holds the lock on writing.
        """
        found = self._stat("", held.ids[""])
        state, sizes = (found.st_size, found.st_mtime_ns), {("", held.ids[""]): found.st_size}
        if LOG in held.ids:
            sizes[LOG, held.ids[LOG]] = self._stat(LOG, held.ids[LOG]).st_size
        cut = [
            suffix for (suffix, file), size in sizes.items() if size < self._largest.get((suffix, file), 0)
        ]
        if state != self._verified or cut:
            self._compare(connection, cut, sizes.get((LOG, held.ids.get(LOG, (0, 0))), 0))
        self._verified, self._largest = state, sizes

    def _compare(self, connection: sqlite3.Connection, cut: list[str], log_size: int) -> None:
        """Look with new eyes: what this connection remembers of the file, it does not read again."""
        reason = ""
        try:
            with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=rw", uri=True)) as other:
                other.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
                facts = _facts(connection)
                same = facts == _facts(other) and facts.may_follow(self._facts)
                if same and (not cut or _is_whole(other, log_size)):
                    self._facts = facts
                    return
        except sqlite3.DatabaseError as error:
            reason = f" ({one_line(error)})"
        raise self._lost(*((cut[0], CUT) if cut else ("", f"was changed by something else{reason}")))

    def _stat(self, suffix: str, known: FileId) -> os.stat_result:
        try:
            found = self._paths[suffix].stat()
        except FileNotFoundError:
            raise self._lost(suffix, "was deleted or moved away") from None
        except OSError as error:
            raise self._lost(suffix, f"cannot be found any more ({error.strerror})") from error
        if (found.st_dev, found.st_ino) != known:
            raise self._lost(suffix, "was replaced by another file")
        return found

    def _path(self, suffix: str) -> Path:
        return self._paths[suffix]

    def _lost(self, suffix: str, what: str) -> DatabaseReplaced:
        return DatabaseReplaced(str(self._path(suffix)), what, self._rescued)

    def _rescue(self, connection: sqlite3.Connection) -> Path | None:
        """Save what the connection still reads as a file that can take the place of the lost one."""
        folder = self._file.parent / FOLDER
        names = (f"{self._file.stem}-rescued-{number}.db" for number in range(1, 1000))
        try:
            folder.mkdir(exist_ok=True)
            copy = next(path for path in map(folder.joinpath, names) if not path.exists())
            with closing(sqlite3.connect(copy)) as target:
                connection.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
                whole: bool = target.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except (sqlite3.Error, OSError, StopIteration) as error:
            _LOGGER.error("No copy of the lost registry could be saved (%s).", one_line(error))
            return None
        if not whole:
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


def _is_whole(connection: sqlite3.Connection, log_size: int) -> bool:
    """Whether a new connection finds every page, and the log as long as its index says."""
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        return False
    _busy, frames, _done = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    return bool(frames <= 0 or _LOG_HEADER + frames * (page + _FRAME_HEADER) <= log_size)
