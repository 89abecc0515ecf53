"""Files that a run leaves beside its version, such as its predictions for each image."""

from __future__ import annotations

from sqlalchemy import select

from registry.blobs.store import BlobStore
from registry.catalog.publishing import add_blob, check_path
from registry.database.db import Database, insert_into
from registry.database.models import RunFileRow, RunRow
from registry.errors import NotFound, UnknownRun
from registry.run_records import Lease
from registry.runs.leases import require_held
from registry.runs.rows import is_shown


class UnknownRunFile(NotFound):
    """A file name that a run has no file of."""

    def __init__(self, run_id: str, path: str) -> None:
        super().__init__(run_id, path)
        self.run_id, self.path = run_id, path

    def __str__(self) -> str:
        return f"Run {self.run_id[:8]} has no file {self.path!r}. List its files to see their names."


class RunFiles:
    """The files of runs, by relative path."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database, self._blobs = database, blobs

    def put(self, run_id: str, path: str, data: bytes, *, lease: Lease | None = None) -> str | None:
        """Store a file, and replace one of the same path.

        Returns:
            The SHA-256 of the replaced file, if it differs; see `Maintenance.release`.

        Args:
            run_id: the run.
            path: the relative path of the file.
            data: its bytes.
            lease: if given, the run must be running under this lease.

        Raises:
            InvalidValue: if the path is not a plain relative one.
            UnknownRun: if there is no such run.
            RunLost: if the run is no longer running under the lease.
            BlobNotStored: if the store refuses the file.
        """
        check_path(path)
        blob = self._blobs.put_bytes(data)
        with self._database.writing() as session:
            if lease is not None:
                require_held(session, lease)
            elif session.get(RunRow, run_id) is None:
                raise UnknownRun(run_id)
            before = session.get(RunFileRow, (run_id, path))
            replaced = before.sha256 if before is not None and before.sha256 != blob.sha256 else None
            add_blob(session, path, blob, self._database.now())
            if not self._blobs.has(blob.sha256):  # removed as unreferenced between the two steps
                self._blobs.put_bytes(data)
            session.execute(
                insert_into(RunFileRow)
                .values(run_id=run_id, path=path, sha256=blob.sha256)
                .on_conflict_do_update(index_elements=["run_id", "path"], set_={"sha256": blob.sha256})
            )
        return replaced

    def names(self, run_id: str) -> list[str]:
        """Return the sorted paths of a run's files."""
        with self._database.reading() as session:
            found = select(RunFileRow.path).filter_by(run_id=run_id).order_by(RunFileRow.path)
            return list(session.scalars(found)) if is_shown(session, run_id) else []

    def read(self, run_id: str, path: str) -> bytes:
        """Return the verified bytes of a file.

        Raises:
            UnknownRunFile: if the run has no such file.
            BlobMissing: if the file is not in the store.
            BlobDamaged: if its content has changed.
        """
        with self._database.reading() as session:
            row = session.get(RunFileRow, (run_id, path)) if is_shown(session, run_id) else None
        if row is None:
            raise UnknownRunFile(run_id, path)
        return self._blobs.read(row.sha256)
