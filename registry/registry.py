"""The way in: one object that holds the parts of the registry."""

from pathlib import Path
from types import TracebackType

from registry.audit import newest_event_id
from registry.blobs import BlobStore
from registry.catalog import Catalog
from registry.clock import Clock, utc_now
from registry.compare import Comparer
from registry.db import Database, open_engine, sqlite_file
from registry.errors import RegistryError
from registry.lineage import Lineages
from registry.migrate import migrate
from registry.runs import Runs
from registry.search import Search
from registry.sources import Bases, Datasets


class Registry:
    """The catalog and the run history over one database and one artifact folder.

    Safe for use by several threads, and by several processes that each open their own.
    """

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self.blobs = blobs
        self.bases = Bases(database)
        self.datasets = Datasets(database)
        self.runs = Runs(database)
        self.catalog = Catalog(database, blobs)
        self.search = Search(database)
        self.lineage = Lineages(database)
        self.comparer = Comparer(self.catalog, self.runs)

    @classmethod
    def open(cls, database_url: str, artifact_root: Path, *, clock: Clock = utc_now) -> "Registry":
        """Open the registry, creating folders and database and upgrading the schema where needed.

        UnsupportedDatabase, SqliteTooOld, DatabaseTooNew, DatabaseUnusable or BlobNotStored when it can't.
        """
        file = sqlite_file(database_url)
        engine = open_engine(file)
        try:
            database = Database(engine, clock)
            migrate(database, file)
            return cls(database, BlobStore(artifact_root))
        except RegistryError:
            engine.dispose()
            raise

    def revision(self) -> int:
        """A number that grows with every change of the catalog, 0 at first; cheap enough to poll."""
        with self._database.reading() as session:
            return newest_event_id(session)

    def close(self) -> None:
        """Let go of the database's connections."""
        self._database.engine.dispose()

    def __enter__(self) -> "Registry":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
