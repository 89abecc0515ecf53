"""A whole registry as a single file: an uncompressed zip of a SQLite snapshot and every file it refers to.

The file is written under a temporary name, and renamed once it is complete and safely on disk.
"""

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from sqlalchemy.exc import DatabaseError

from registry.backup.copying import Contents, blobs_of, contents, opened_snapshot, write_snapshot
from registry.backup.errors import BackupNotWritten
from registry.blobs.atomic_file import sync_file, sync_folder
from registry.blobs.errors import BlobDamaged, BlobMissing
from registry.blobs.store import BlobStore
from registry.database.canonical import canonical_json
from registry.database.db import Database
from registry.database.migrate import head
from registry.errors import one_line

FORMAT = "loravit-web backup"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
DATABASE = "registry.db"
BLOBS = "blobs/"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a backup.

    Attributes:
        schema: the schema revision of the database.
        database_size: bytes.
        blobs: the size in bytes of each file, by digest.
        missing: digests of files that were already lost when the backup was made.
    """

    schema: str
    taken_at: datetime
    database_sha256: str
    database_size: int
    blobs: dict[str, int]
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the document that `read_manifest` reads."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "schema": self.schema,
            "taken_at": self.taken_at.isoformat(),
            "database": {"sha256": self.database_sha256, "size": self.database_size},
            "blobs": self.blobs,
            "lacking": list(self.missing),
        }


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written.

    Attributes:
        size: bytes.
        missing: for each file that could not be included, what is wrong with it.
    """

    file: Path
    size: int
    contents: Contents
    taken_at: datetime
    missing: tuple[str, ...]


class BackupWriter:
    """Collects the parts of a backup in a temporary folder."""

    def __init__(self, folder: Path, file: Path, blobs: BlobStore) -> None:
        self._folder, self._file, self._blobs = folder, file, blobs
        self._archive = ZipFile(folder / "backup.zip", "w", ZIP_STORED)
        self._sizes: dict[str, int] = {}
        self._missing: dict[str, str] = {}

    def add_blobs(self, digests: Iterable[str]) -> None:
        """Add the files that are not in the backup yet. A lost or damaged file is noted instead."""
        with raising_backup_not_written(self._file):
            for digest in digests:
                if digest not in self._sizes and digest not in self._missing:
                    self._add_blob(digest)

    def finish(self, database: Database) -> Backup:
        """Add the present database and the files it still needs, and rename the complete backup.

        Raises:
            BackupNotWritten: if the disk or the database refuses.
        """
        with raising_backup_not_written(self._file):
            return self._finish(database)

    def close(self) -> None:
        """Discard what was not finished."""
        self._archive.close()

    def _add_blob(self, digest: str) -> None:
        try:
            data = self._blobs.read(digest)
        except (BlobMissing, BlobDamaged) as error:
            self._missing[digest] = str(error)
        else:
            self._archive.writestr(ZipInfo(f"{BLOBS}{digest}"), data)
            self._sizes[digest] = len(data)

    def _finish(self, database: Database) -> Backup:
        snapshot, taken_at = self._folder / DATABASE, database.now()
        write_snapshot(database, snapshot)
        with opened_snapshot(snapshot) as opened, opened.reading() as session:
            self.add_blobs(blobs_of(session.connection()))
            found = contents(session.connection())
        self._add_manifest(snapshot, taken_at)
        self._archive.close()
        complete = self._folder / "backup.zip"
        sync_file(complete)
        size = complete.stat().st_size
        complete.replace(self._file)
        sync_folder(self._file.parent)
        return Backup(self._file, size, found, taken_at, tuple(self._missing.values()))

    def _add_manifest(self, snapshot: Path, taken_at: datetime) -> None:
        digest = hashlib.sha256()
        with (
            snapshot.open("rb") as source,
            self._archive.open(ZipInfo(DATABASE), "w", force_zip64=True) as entry,
        ):
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                entry.write(chunk)
        manifest = Manifest(
            schema=head(),
            taken_at=taken_at,
            database_sha256=digest.hexdigest(),
            database_size=snapshot.stat().st_size,
            blobs=self._sizes,
            missing=tuple(sorted(self._missing)),
        ).as_json()
        self._archive.writestr(ZipInfo(MANIFEST), canonical_json(manifest))


@contextmanager
def new_backup(file: Path, blobs: BlobStore) -> Iterator[BackupWriter]:
    """Yield the writer of a new backup. Without a call of `finish`, nothing is left of it."""
    with raising_backup_not_written(file):
        folder = tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent)
    with folder as name:
        with raising_backup_not_written(file):
            writer = BackupWriter(Path(name), file, blobs)
        try:
            yield writer
        finally:
            writer.close()


@contextmanager
def raising_backup_not_written(file: Path) -> Iterator[None]:
    """Convert the errors of disk and database to BackupNotWritten."""
    try:
        yield
    except OSError as error:
        raise BackupNotWritten(file, error.strerror or str(error)) from error
    except sqlite3.Error as error:
        raise BackupNotWritten(file, one_line(error)) from error
    except DatabaseError as error:
        raise BackupNotWritten(file, one_line(error.orig)) from error


def write_backup(database: Database, blobs: BlobStore, file: Path) -> Backup:
    """Write what the registry holds at this moment into `file`. Others can use the registry meanwhile."""
    with new_backup(file, blobs) as writer:
        return writer.finish(database)


def read_manifest(text: bytes) -> Manifest:
    """Parse a manifest.

    Raises:
        ValueError: if this program cannot restore such a backup; the message says why.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError("it is not a backup of a registry")
        if document["format_version"] != FORMAT_VERSION:
            raise ValueError("it was made by a newer version of this program")
        return Manifest(
            schema=str(document["schema"]),
            taken_at=datetime.fromisoformat(document["taken_at"]),
            database_sha256=str(document["database"]["sha256"]),
            database_size=int(document["database"]["size"]),
            blobs={str(digest): int(size) for digest, size in document["blobs"].items()},
            missing=tuple(str(digest) for digest in document["lacking"]),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("its manifest is not that of a registry backup") from error
