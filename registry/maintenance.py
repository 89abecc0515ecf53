"""Maintenance of a registry: find and remove unreferenced files, find and repair broken ones."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, not_, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry.blobs.errors import BlobDamaged, BlobMissing
from registry.blobs.store import BlobStore, StoredFile, blob_name
from registry.database.db import Database, insert_into, integrity_problems
from registry.database.models import (
    AdapterRow,
    BaseFileRow,
    BaseRow,
    BlobRow,
    RunFileRow,
    RunRow,
    Table,
    VersionFileRow,
    VersionRow,
)
from registry.run_records import RunStatus

ENDED: tuple[RunStatus, ...] = ("completed", "failed", "cancelled", "interrupted")


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """A file that the registry refers to but that is missing from the store or damaged there.

    Attributes:
        versions: the versions that the file belongs to, as `slug@2`.
        bases: the names of the bases that it belongs to.
        reason: what is wrong with it.
    """

    sha256: str
    versions: tuple[str, ...]
    bases: tuple[str, ...]
    reason: str


class Maintenance:
    """Checks the store and the database, and removes unreferenced files. Safe while others publish.

    A process that stores or removes a blob locks its row meanwhile. `remove` deletes the row before the file;
    a publication checks its files after it has locked their rows, and stores missing ones again.
    """

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def unreferenced(self, older_than: timedelta) -> list[StoredFile]:
        """Return unreferenced blobs and temporary files that were last written before a given time.

        Younger files may belong to a publication in progress. Files whose age the store cannot tell are left
        out. An unreferenced blob of which only the row is left is included with size 0.

        Args:
            older_than: the minimum age.
        """
        files = list(self._blobs.list())
        # read after the store was listed, so that files published meanwhile are already referenced
        with self._database.reading() as session:
            referenced = _referenced(session)
            rows = set(session.scalars(select(BlobRow.sha256)))
        stored = {file.sha256 for file in files}
        candidates = [file for file in files if file.sha256 not in referenced]
        candidates += [StoredFile(blob_name(sha256), 0) for sha256 in sorted(rows - referenced - stored)]
        return [file for file in candidates if self._is_abandoned(file, older_than)]

    def remove(self, file: StoredFile, older_than: timedelta) -> bool:
        """Remove a file that `unreferenced` returned, unless it has come into use since.

        Args:
            file: the file.
            older_than: the minimum age, which is checked again.

        Returns:
            Whether the file was removed.
        """
        try:
            with self._database.writing() as session:
                if not self._is_abandoned(file, older_than):
                    return False
                if not _delete_unreferenced_row(session, file, self._database):
                    return False
                self._blobs.delete(file)
                return True
        except IntegrityError:
            return False  # a publication that was in progress refers to it now

    def remove_released(self) -> int:
        """Remove every blob whose row is left although nothing refers to it any more.

        A publication adds row and reference together, so such a row is left by a permanent deletion, and the
        blob can be removed whatever its age.

        Returns:
            The number of blobs.
        """
        with self._database.reading() as session:
            rows = session.execute(select(BlobRow.sha256, BlobRow.size)).all()
            referenced = _referenced(session)
        released = [StoredFile(blob_name(sha256), size) for sha256, size in rows if sha256 not in referenced]
        for file in released:
            self._remove(file)
        self._blobs.keep_copies(referenced)
        return len(released)

    def release(self, sha256: str) -> None:
        """Remove a blob if nothing refers to it any more, whatever its age."""
        self._remove(StoredFile(blob_name(sha256), 0))

    def remove_run_files(self, paths: Collection[str], *, statuses: Collection[RunStatus] = ENDED) -> int:
        """Remove files of these paths from all runs of these statuses, and their blobs.

        Args:
            paths: the paths, as in `RunFiles.put`.
            statuses: the statuses; by default, the run has ended in whatever way.

        Returns:
            The number of files.
        """
        ended = select(RunRow.id).where(RunRow.status.in_(statuses))
        removed = delete(RunFileRow).where(RunFileRow.path.in_(paths), RunFileRow.run_id.in_(ended))
        with self._database.writing() as session:
            digests = session.scalars(removed.returning(RunFileRow.sha256)).all()
        for sha256 in set(digests):
            self.release(sha256)
        return len(digests)

    def _remove(self, file: StoredFile) -> None:
        with suppress(IntegrityError), self._database.writing() as session:
            if _delete_unreferenced_row(session, file, self._database):
                self._blobs.delete(file)

    def broken(self) -> Iterator[BrokenFile]:
        """Read every file that a row refers to, and yield those that are missing or damaged."""
        with self._database.reading() as session:
            digests = _referenced(session)
            versions, bases = _versions(session), _bases(session)
        for sha256 in sorted(digests):
            try:
                self._blobs.read(sha256, fresh=True)
            except (BlobMissing, BlobDamaged) as error:
                yield BrokenFile(sha256, tuple(versions[sha256]), tuple(bases[sha256]), str(error))

    def repair(self, sha256: str) -> bool:
        """Store a broken file again from the copy in this machine's cache.

        Returns:
            Whether the cache held an intact copy.
        """
        try:
            data = self._blobs.read(sha256)
        except (BlobMissing, BlobDamaged):
            return False
        self._blobs.put_bytes(data)
        return True

    def database_problems(self) -> list[str]:
        """Return what an integrity check of the database finds, one line per problem."""
        with self._database.reading() as session:
            return integrity_problems(session)

    def _is_abandoned(self, file: StoredFile, older_than: timedelta) -> bool:
        written = self._blobs.modified(file)
        if written is None:
            # the age is unknown, or the file is gone and only its row is left to remove
            return file.sha256 is not None and not self._blobs.has(file.sha256)
        return written < self._database.now() - older_than


def _referenced(session: Session) -> set[str]:
    """Return the digests of all blobs that any table refers to."""
    columns = _referring_columns()
    return {sha256 for column in columns for sha256 in session.scalars(select(column).distinct())}


def _referring_columns() -> list[ColumnElement[str]]:
    """Return every column with a foreign key to the blobs, also of tables that are added later."""
    return [
        key.parent
        for table in Table.metadata.sorted_tables
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
        if key.column is BlobRow.__table__.c.sha256
    ]


def _delete_unreferenced_row(session: Session, file: StoredFile, database: Database) -> bool:
    """Delete the row of a blob, and return False if something refers to it."""
    if file.sha256 is None:
        return True
    # without a row there would be nothing to lock against a publication of the same blob
    session.execute(
        insert_into(BlobRow)
        .values(sha256=file.sha256, size=file.size, media_type="", created_at=database.now())
        .on_conflict_do_nothing()
    )
    used = or_(*(BlobRow.sha256.in_(select(column)) for column in _referring_columns()))
    deleted = delete(BlobRow).where(BlobRow.sha256 == file.sha256, not_(used)).returning(BlobRow.sha256)
    return session.scalars(deleted).one_or_none() is not None


def _versions(session: Session) -> defaultdict[str, list[str]]:
    """Return the versions that each file belongs to, sorted."""
    rows = session.execute(
        select(VersionFileRow.sha256, AdapterRow.slug, VersionRow.version)
        .join(VersionRow, VersionRow.id == VersionFileRow.version_id)
        .join(AdapterRow, AdapterRow.id == VersionRow.adapter_id)
        .order_by(AdapterRow.slug, VersionRow.version)
        .distinct()
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for sha256, slug, version in rows:
        found[sha256].append(f"{slug}@{version}")
    return found


def _bases(session: Session) -> defaultdict[str, list[str]]:
    """Return the names of the bases that each file belongs to, sorted."""
    rows = session.execute(select(BaseFileRow.sha256, BaseRow.name).join(BaseRow).order_by(BaseRow.name))
    found: defaultdict[str, list[str]] = defaultdict(list)
    for sha256, name in rows:
        found[sha256].append(name)
    return found
