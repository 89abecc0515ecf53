"""The way in: one object that holds the parts of the registry."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from types import TracebackType

from sqlalchemy import select

from registry.audit import has_forgotten, newest_event_id, renamed_after
from registry.backup.backup import Backup, write_backup
from registry.backup.restore import Restored, restore_backup
from registry.backup.shelf import Shelf
from registry.backup.snapshots import (
    RestoredSnapshot,
    Snapshot,
    prune_snapshots,
    restore_snapshot,
    save_snapshot,
)
from registry.backup.state import State, state_of
from registry.blobs.opening import open_blobs
from registry.blobs.store import BlobStore
from registry.catalog.aliases import Aliases
from registry.catalog.catalog import Catalog
from registry.catalog.evaluations import Evaluations
from registry.catalog.lineage import Lineages
from registry.catalog.search import Search
from registry.catalog.usage import Usage
from registry.compare import Comparer
from registry.database.clock import Clock, utc_now
from registry.database.db import Database, open_engine
from registry.database.migrate import Upgrade, migrate
from registry.database.models import AdapterRow, RunRow
from registry.errors import RegistryError
from registry.forgetting import Forgotten, forget, known_as_forgotten
from registry.runs.files import RunFiles
from registry.runs.runs import Runs
from registry.sight import Owners, Sight
from registry.sources import Bases, Datasets
from registry.upkeep import Upkeep
from registry.users import Users


class Registry:
    """The catalog and the run history over one database and one artifact store.

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
        self.run_files = RunFiles(database, blobs)
        self.catalog = Catalog(database, blobs)
        self.aliases = Aliases(database)
        self.evaluations = Evaluations(database)
        self.usage = Usage(database)
        self.users = Users(database)
        self.upkeep = Upkeep(database, blobs)
        self.search = Search(database)
        self.lineage = Lineages(database)
        self.comparer = Comparer(self.catalog, self.runs)

    @classmethod
    def open(
        cls, database_url: str, artifacts: Path | str, *, cache: Path | None = None, clock: Clock = utc_now
    ) -> "Registry":
        """Open the registry, creating folders and database and upgrading the schema where needed.

        `artifacts` is a folder, or an address of fsspec whose files are read through the folder `cache`.
        UnsupportedDatabase, SqliteTooOld, PostgresDriverMissing, DatabaseNotReadable, DatabaseTooNew,
        DatabaseUnusable, BlobNotStored or UnusableArtifactAddress when it can't.
        """
        engine = open_engine(database_url)
        try:
            database = Database(engine, clock)
            upgrade = migrate(database)
            return cls(database, open_blobs(artifacts, cache), upgrade)
        except RegistryError:
            engine.dispose()
            raise

    def revision(self) -> int:
        """A number that grows with every change of the catalog, 0 at first; cheap enough to poll."""
        with self._database.reading() as session:
            return newest_event_id(session)

    @property
    def location(self) -> str:
        """What to call the database in a message; holds no password."""
        return self._database.location

    def backup(self, file: Path) -> Backup:
        """Write all that the registry holds at this moment, with every published file, into one file.

        Others go on using the registry. BackupNotWritten when it can't.
        """
        return write_backup(self._database, self.blobs, file)

    def restore(self, file: Path, *, replace: bool, keep_in: Path, actor: str) -> Restored:
        """Put a backup in the place of what the registry holds; others see all of the old or all of the new.

        See `restore_backup` for what is refused and what is kept.
        """
        return restore_backup(self._database, self.blobs, file, replace=replace, keep_in=keep_in, actor=actor)

    def state(self) -> State:
        """Where catalog and runs stand."""
        with self._database.reading() as session:
            return state_of(session)

    def save_snapshot(self, shelf: Shelf, *, scratch: Path, damaged: Collection[str] = ()) -> Snapshot:
        """Write what the registry holds at this moment as a snapshot; see `registry.snapshots`."""
        return save_snapshot(self._database, self.blobs, shelf, scratch=scratch, damaged=damaged)

    def prune_snapshots(self, shelf: Shelf, *, damaged: Collection[str] = ()) -> None:
        """Remove all but the newest snapshots; BlobStoreUnreachable."""
        prune_snapshots(self._database, shelf, damaged=damaged)

    def restore_snapshot(self, shelf: Shelf, *, scratch: Path, actor: str) -> RestoredSnapshot | None:
        """Put the newest whole snapshot into a registry that is empty; see `registry.snapshots`."""
        return restore_snapshot(self._database, self.blobs, shelf, scratch=scratch, actor=actor)

    def restored_since(self, revision: int) -> bool:
        """Whether a known name may mean another version than at that revision.

        It may after a backup was restored, or something was forgotten whose name may be given again.
        """
        with self._database.reading() as session:
            return renamed_after(session, revision)

    def seen_by(self, sight: Sight) -> "Registry":
        """Return the same registry as a reader sees it, for whom what is hidden does not exist.

        Args:
            sight: what the reader sees.
        """
        return Registry(self._database.seen_by(sight), self.blobs, self.upgrade)

    def forget(self, owners: Owners, *, before: datetime, actor: str) -> Forgotten:
        """Delete for good what certain owners left that nothing was done with since `before`.

        What is queued or running stays until it has ended. Files that nothing refers to any more are removed
        from the store after the rows, also those that were left when that was interrupted before.

        Raises:
            DatabaseNotWritable: if the rows can't be deleted; nothing is changed then.
            BlobStoreUnreachable: if files can't be removed now; the next call removes them.
        """
        with self._database.writing() as session:
            forgotten = forget(session, owners, before, self._database.now(), actor)
            ever = has_forgotten(session)
        if ever:  # now, or before by a process that may have been killed
            self.upkeep.release()
            self._database.purge()
        return forgotten

    def owners(self, owners: Owners) -> set[str]:
        """Return the names of those of the owners who have an adapter or a run."""
        with self._database.reading() as session:
            adapters = select(AdapterRow.owner).where(owners.condition(AdapterRow.owner)).distinct()
            runs = select(RunRow.created_by).where(owners.condition(RunRow.created_by)).distinct()
            return {*session.scalars(adapters), *session.scalars(runs)}

    def forgotten(self, run_ids: Collection[str]) -> set[str]:
        """Return those of the ids that are of runs which were forgotten."""
        with self._database.reading() as session:
            return known_as_forgotten(session, run_ids)

    def close(self) -> None:
        """Let go of the database's connections."""
        self._database.engine.dispose()

    def __enter__(self) -> "Registry":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
