"""The way in: one object that holds the parts of the registry."""

from pathlib import Path
from types import TracebackType

from registry.audit import newest_event_id
from registry.blobs import BlobStore
from registry.catalog import Catalog
from registry.clock import Clock, utc_now
from registry.db import Database, open_engine
from registry.errors import RegistryError
from registry.migrate import Upgrade, migrate
from registry.runs import Runs
from registry.sources import Bases, Datasets


class Registry:
    """The catalog and the run history over one database and one artifact folder.

    Safe for use by several threads, and by several processes that each open their own.
    """

    def __init__(self, database: Database, blobs: BlobStore, upgrade: Upgrade | None = None) -> None:
        self._database = database
        self.upgrade = upgrade
        """What opening did to a database of an older schema, if it was one."""
        self.blobs = blobs
        self.bases = Bases(database)
        self.datasets = Datasets(database)
        self.runs = Runs(database)
        self.catalog = Catalog(database, blobs)

    @classmethod
    def open(cls, database_url: str, artifact_root: Path, *, clock: Clock = utc_now) -> "Registry":
        """Open the registry, creating folders and database and upgrading the schema where needed.

        UnsupportedDatabase, SqliteTooOld, PostgresDriverMissing, DatabaseNotReadable, DatabaseTooNew,
        DatabaseUnusable or BlobNotStored when it can't.
        """
        engine = open_engine(database_url)
        try:
            database = Database(engine, clock)
            upgrade = migrate(database)
            return cls(database, BlobStore(artifact_root), upgrade)
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
