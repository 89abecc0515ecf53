"""What lies in the store without being of use, what is missing there, and whether the database is sound."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, not_, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry.blobs.errors import BlobDamaged, BlobMissing
from registry.blobs.store import BlobStore, StoredFile, blob_name
from registry.database.db import Database, insert_into, integrity_problems
from registry.database.models import AdapterRow, BlobRow, Table, VersionFileRow, VersionRow


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """A file that the catalog lists and the store can't give."""

    sha256: str
    versions: tuple[str, ...]
    """The versions that it belongs to, as `slug@2`."""
    reason: str


class Upkeep:
    """Finds and removes what nothing refers to; safe while others publish.

    Whoever keeps or removes a blob holds its row while doing so: `remove` takes the row away before the file,
    a publication looks for its files once its own rows are locked, and stores again what is gone.
    """

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def unreferenced(self, older_than: timedelta) -> list[StoredFile]:
        """Blobs that nothing refers to and temporary files, when nobody wrote them for so long.

        Also, of size 0, blobs that nothing refers to and of which only the row is left. What may belong to
        a publication in progress is younger; a store that can't tell ages has no such file.
        """
        files = list(self._blobs.list())
        # read after the store: what was published meanwhile is referred to by now
        with self._database.reading() as session:
            kept = _referenced(session)
            rows = set(session.scalars(select(BlobRow.sha256)))
        here = {file.sha256 for file in files}
        left = [file for file in files if file.sha256 not in kept]
        left += [StoredFile(blob_name(one), 0) for one in sorted(rows - kept - here)]
        return [file for file in left if self._abandoned(file, older_than)]

    def remove(self, file: StoredFile, older_than: timedelta) -> bool:
        """Remove one of `unreferenced`, unless it has come into use since; whether it was removed."""
        try:
            with self._database.writing() as session:
                if not self._abandoned(file, older_than) or not _given_up(session, file, self._database):
                    return False
                self._blobs.delete(file)
                return True
        except IntegrityError:
            return False  # a publication that was in progress now refers to it

    def release(self) -> int:
        """Remove the blobs whose rows are left and that nothing refers to any more, at once; how many.

        A publication adds row and reference together, so such a row is of something that was forgotten.
        """
        with self._database.reading() as session:
            left = session.execute(select(BlobRow.sha256, BlobRow.size)).all()
            kept = _referenced(session)
        released = [StoredFile(blob_name(sha256), size) for sha256, size in left if sha256 not in kept]
        for file in released:
            self._remove(file)
        self._blobs.keep_copies(kept)
        return len(released)

    def _remove(self, file: StoredFile) -> None:
        with suppress(IntegrityError), self._database.writing() as session:
            if _given_up(session, file, self._database):
                self._blobs.delete(file)

    def broken(self) -> Iterator[BrokenFile]:
        """Read every file that anything refers to, and name those that are missing or damaged."""
        with self._database.reading() as session:
            digests = _referenced(session)
            versions = _versions(session)
        for sha256 in sorted(digests):
            try:
                self._blobs.read(sha256, fresh=True)
            except (BlobMissing, BlobDamaged) as error:
                yield BrokenFile(sha256, tuple(versions[sha256]), str(error))

    def heal(self, sha256: str) -> bool:
        """Store a broken file anew from a copy that this machine has read; whether there is one."""
        try:
            data = self._blobs.read(sha256)
        except (BlobMissing, BlobDamaged):
            return False
        self._blobs.put_bytes(data)
        return True

    def database_problems(self) -> list[str]:
        """What the database finds wrong with itself, one line each."""
        with self._database.reading() as session:
            return integrity_problems(session)

    def _abandoned(self, file: StoredFile, older_than: timedelta) -> bool:
        written = self._blobs.modified(file)
        if written is None:
            # of unknown age, or gone: then only its row is to be removed
            return file.sha256 is not None and not self._blobs.has(file.sha256)
        return written < self._database.now() - older_than


def _referenced(session: Session) -> set[str]:
    """The digests that any table refers to."""
    return {sha256 for column in _referring() for sha256 in session.scalars(select(column).distinct())}


def _referring() -> list[ColumnElement[str]]:
    """Every column with a foreign key to the blobs: a table added later needs no word here."""
    return [
        key.parent
        for table in Table.metadata.sorted_tables
        for key in sorted(table.foreign_keys, key=lambda one: one.parent.name)
        if key.column is BlobRow.__table__.c.sha256
    ]


def _given_up(session: Session, file: StoredFile, database: Database) -> bool:
    """Take the row of an unreferenced blob away; False when something refers to it."""
    if file.sha256 is None:
        return True
    # a row is needed to lock where a publication would put its own
    session.execute(
        insert_into(BlobRow)
        .values(sha256=file.sha256, size=file.size, media_type="", created_at=database.now())
        .on_conflict_do_nothing()
    )
    used = or_(*(BlobRow.sha256.in_(select(column)) for column in _referring()))
    given_up = delete(BlobRow).where(BlobRow.sha256 == file.sha256, not_(used)).returning(BlobRow.sha256)
    return session.scalars(given_up).one_or_none() is not None


def _versions(session: Session) -> defaultdict[str, list[str]]:
    """The versions of each file, in order."""
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
