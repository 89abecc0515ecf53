"""Files of datasets in the artifact store, from which other machines get the images."""

from collections.abc import Mapping

from sqlalchemy import delete, select

from registry.bases_and_datasets import dataset_row
from registry.blobs.store import BlobStore
from registry.catalog.publishing import add_blob, check_path
from registry.database.db import Database, insert_into
from registry.database.models import DatasetFileRow
from registry.errors import UnknownDataset


class DatasetFiles:
    """The files of datasets, by fingerprint and relative path."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database, self._blobs = database, blobs

    def put(self, fingerprint: str, path: str, data: bytes) -> None:
        """Store a file of a dataset, and replace one of the same path.

        Raises:
            InvalidValue: if the path is not a plain relative one.
            UnknownDataset: if the dataset is not registered.
            BlobNotStored: if the store refuses the file.
        """
        check_path(path)
        blob = self._blobs.put_bytes(data)
        with self._database.writing() as session:
            row = dataset_row(session, fingerprint)
            if row is None:
                raise UnknownDataset(fingerprint)
            add_blob(session, path, blob, self._database.now())
            if not self._blobs.has(blob.sha256):  # removed as unreferenced between the two steps
                self._blobs.put_bytes(data)
            session.execute(
                insert_into(DatasetFileRow)
                .values(dataset_id=row.id, path=path, sha256=blob.sha256)
                .on_conflict_do_update(index_elements=["dataset_id", "path"], set_={"sha256": blob.sha256})
            )

    def digests(self, fingerprint: str) -> Mapping[str, str]:
        """Return the SHA-256 of each file of a dataset by path; empty if it has none."""
        with self._database.reading() as session:
            row = dataset_row(session, fingerprint)
            if row is None:
                return {}
            files = select(DatasetFileRow.path, DatasetFileRow.sha256).filter_by(dataset_id=row.id)
            return {row.path: row.sha256 for row in session.execute(files.order_by(DatasetFileRow.path))}

    def read(self, sha256: str) -> bytes:
        """Return the verified bytes of a file, of which no local copy is kept.

        Raises:
            BlobMissing: if the file is not in the store.
            BlobDamaged: if its content has changed.
            BlobStoreUnreachable: if the store does not answer.
        """
        return self._blobs.fetch(sha256)

    def remove(self, fingerprint: str) -> int:
        """Remove the references to the files of a dataset; `Maintenance.remove_released` removes them.

        Returns:
            The number of files.
        """
        with self._database.writing() as session:
            row = dataset_row(session, fingerprint)
            if row is None:
                return 0
            removed = delete(DatasetFileRow).filter_by(dataset_id=row.id).returning(DatasetFileRow.path)
            return len(session.scalars(removed).all())
