"""A whole registry as one file: a zip, stored, of a SQLite snapshot and of every file that it refers to.

It is written beside its place and moved there when it is whole and safely on disk.
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
from registry.blobs.errors import BlobDamaged, BlobMissing
from registry.blobs.store import BlobStore
from registry.blobs.whole_file import sync, sync_folder
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
    """What a backup says of itself; `blobs` are sizes by digest, `lacking` digests that were lost before."""

    schema: str
    taken_at: datetime
    database_sha256: str
    database_size: int
    blobs: dict[str, int]
    lacking: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The document that `read_manifest` reads."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "schema": self.schema,
            "taken_at": self.taken_at.isoformat(),
            "database": {"sha256": self.database_sha256, "size": self.database_size},
            "blobs": self.blobs,
            "lacking": list(self.lacking),
        }


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written; `lacking` says what is wrong with files that could not be taken along."""

    file: Path
    size: int
    contents: Contents
    taken_at: datetime
    lacking: tuple[str, ...]


class BackupWriter:
    """Collects the parts of one backup in a folder of its own."""

    def __init__(self, folder: Path, file: Path, blobs: BlobStore) -> None:
        self._folder, self._file, self._blobs = folder, file, blobs
        self._archive = ZipFile(folder / "backup.zip", "w", ZIP_STORED)
        self._sizes: dict[str, int] = {}
        self._lacking: dict[str, str] = {}

    def add_blobs(self, digests: Iterable[str]) -> None:
        """Take along the files that aren't there yet; a lost or damaged one is noted instead."""
        with failures_told(self._file):
            for digest in digests:
                if digest not in self._sizes and digest not in self._lacking:
                    self._add_blob(digest)

    def finish(self, database: Database) -> Backup:
        """Add the database as it is now with what it still needs, and put the backup in its place.

        BackupNotWritten when the disk refuses.
        """
        with failures_told(self._file):
            return self._finish(database)

    def close(self) -> None:
        """Let go of what was not finished."""
        self._archive.close()

    def _add_blob(self, digest: str) -> None:
        try:
            data = self._blobs.read(digest)
        except (BlobMissing, BlobDamaged) as error:
            self._lacking[digest] = str(error)
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
        whole = self._folder / "backup.zip"
        sync(whole)
        size = whole.stat().st_size
        whole.replace(self._file)
        sync_folder(self._file.parent)
        return Backup(self._file, size, found, taken_at, tuple(self._lacking.values()))

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
            lacking=tuple(sorted(self._lacking)),
        ).as_json()
        self._archive.writestr(ZipInfo(MANIFEST), canonical_json(manifest))


@contextmanager
def new_backup(file: Path, blobs: BlobStore) -> Iterator[BackupWriter]:
    """A backup to be written; without `finish` nothing is left of it."""
    with failures_told(file):
        folder = tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent)
    with folder as name:
        with failures_told(file):
            writer = BackupWriter(Path(name), file, blobs)
        try:
            yield writer
        finally:
            writer.close()


@contextmanager
def failures_told(file: Path) -> Iterator[None]:
    """Whatever keeps a backup from being written becomes BackupNotWritten."""
    try:
        yield
    except OSError as error:
        raise BackupNotWritten(file, error.strerror or str(error)) from error
    except sqlite3.Error as error:
        raise BackupNotWritten(file, one_line(error)) from error
    except DatabaseError as error:
        raise BackupNotWritten(file, one_line(error.orig)) from error


def write_backup(database: Database, blobs: BlobStore, file: Path) -> Backup:
    """Write all that the registry holds at one moment into `file`; others go on using the registry."""
    with new_backup(file, blobs) as writer:
        return writer.finish(database)


def read_manifest(text: bytes) -> Manifest:
    """What a manifest says; ValueError, with the reason, for one that this program can't follow."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError("it is no backup of a registry")
        if document["format_version"] != FORMAT_VERSION:
            raise ValueError("it was made by a newer version of this program")
        return Manifest(
            schema=str(document["schema"]),
            taken_at=datetime.fromisoformat(document["taken_at"]),
            database_sha256=str(document["database"]["sha256"]),
            database_size=int(document["database"]["size"]),
            blobs={str(digest): int(size) for digest, size in document["blobs"].items()},
            lacking=tuple(str(digest) for digest in document["lacking"]),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("its manifest is not one of a registry's backup") from error
