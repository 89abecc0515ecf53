"""The entry point: an object that holds all parts of the registry."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from types import TracebackType

from sqlalchemy import URL, select

from registry.audit import has_deletions, newest_event_id, renamed_after
from registry.backup.backup import Backup, write_backup
from registry.backup.restore import Restored, restore_backup
from registry.backup.snapshot_store import SnapshotStore
from registry.backup.snapshots import (
    RestoredSnapshot,
    Snapshot,
    prune_snapshots,
    restore_snapshot,
    save_snapshot,
)
from registry.backup.state import State, state_of
from registry.base_files import BaseFiles
from registry.bases_and_datasets import Bases, Datasets
from registry.blobs.opening import open_blobs
from registry.blobs.store import BlobStore
from registry.catalog.aliases import Aliases
from registry.catalog.catalog import Catalog
from registry.catalog.class_titles import ClassTitles
from registry.catalog.evaluations import Evaluations
from registry.catalog.lineage import Lineages
from registry.catalog.search import Search
from registry.catalog.thresholds import VersionThresholds
from registry.catalog.usage import Usage
from registry.chosen_deletion import Deletions
from registry.compare import Comparer
from registry.database.clock import Clock
from registry.database.db import Database, open_engine
from registry.database.migrate import Upgrade, migrate
from registry.database.models import AdapterRow, RunRow
from registry.dataset_files import DatasetFiles
from registry.deletion import Deletion, delete_inactive, deleted_among
from registry.errors import RegistryError
from registry.maintenance import Maintenance
from registry.runs.files import RunFiles
from registry.runs.nodes import Nodes
from registry.runs.runs import Runs
from registry.users import Users
from registry.visibility import Owners, Visibility


class Registry:
    """The catalog and the run history, over a database and an artifact store.

    Safe for use by several threads, and by several processes that each open their own.

    Attributes:
        upgrade: what opening changed in a database of an older schema; None if it was up to date or new.
        blobs: the stored files.
    """

    def __init__(self, database: Database, blobs: BlobStore, upgrade: Upgrade | None = None) -> None:
        self._database = database
        self.upgrade = upgrade
        self.blobs = blobs
        self.bases = Bases(database)
        self.base_files = BaseFiles(database, blobs)
        self.datasets = Datasets(database)
        self.dataset_files = DatasetFiles(database, blobs)
        self.runs = Runs(database)
        self.nodes = Nodes(database)
        self.run_files = RunFiles(database, blobs)
        self.catalog = Catalog(database, blobs)
        self.aliases = Aliases(database)
        self.evaluations = Evaluations(database)
        self.thresholds = VersionThresholds(database)
        self.class_titles = ClassTitles(database)
        self.usage = Usage(database)
        self.users = Users(database)
        self.maintenance = Maintenance(database, blobs)
        self.deletions = Deletions(database, self.maintenance)
        self.search = Search(database)
        self.lineage = Lineages(database)
        self.comparer = Comparer(self.catalog, self.runs)

    @classmethod
    def open(
        cls,
        database_url: str | URL,
        artifacts: Path | str,
        *,
        cache: Path | None = None,
        clock: Clock | None = None,
    ) -> "Registry":
        """Open a registry. Creates folders and database, and upgrades the schema, where needed.

        Args:
            database_url: the address of a SQLite file or a PostgreSQL database; see `open_engine`.
            artifacts: a folder, or an fsspec address.
            cache: a folder that keeps copies of files read from an fsspec address; None for no copies.
            clock: the source of the times in the rows; None as in `Database`.

        Raises:
            UnsupportedDatabase: if the address is of another kind.
            SqliteTooOld: if the SQLite library of this Python is too old.
            PostgresDriverMissing: if the PostgreSQL driver cannot be imported.
            DatabaseNotReadable: if the database cannot be reached.
            DatabaseTooNew: if a newer version of the program wrote the database.
            DatabaseUnusable: if the database cannot be opened or upgraded.
            BlobNotStored: if the folder of the artifact store cannot be created.
            UnusableArtifactAddress: if no artifact store can be opened at the address.
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
        """Return a number that grows with every change of the catalog, 0 at first. Cheap enough to poll."""
        with self._database.reading() as session:
            return newest_event_id(session)

    @property
    def location(self) -> str:
        """The name of the database for messages; without a password."""
        return self._database.location

    def backup(self, file: Path) -> Backup:
        """Write the present contents, including the published files, into a single backup file.

        Others can use the registry meanwhile.

        Raises:
            BackupNotWritten: if the disk or the database refuses. Nothing is left of the file then.
        """
        return write_backup(self._database, self.blobs, file)

    def restore(self, file: Path, *, replace: bool, keep_in: Path, actor: str) -> Restored:
        """Replace the contents of the registry with a backup. Readers see either the old or the new contents.

        See `registry.backup.restore.restore_backup` for what is refused and what is kept.
        """
        return restore_backup(self._database, self.blobs, file, replace=replace, keep_in=keep_in, actor=actor)

    def state(self) -> State:
        """Return the state of catalog and runs, which can be compared with another one."""
        with self._database.reading() as session:
            return state_of(session)

    def save_snapshot(
        self, store: SnapshotStore, *, scratch: Path, damaged: Collection[str] = ()
    ) -> Snapshot:
        """Write the present contents as a snapshot; see `registry.backup.snapshots.save_snapshot`."""
        return save_snapshot(self._database, self.blobs, store, scratch=scratch, damaged=damaged)

    def prune_snapshots(self, store: SnapshotStore, *, damaged: Collection[str] = ()) -> None:
        """Remove all but the newest snapshots; see `registry.backup.snapshots.prune_snapshots`."""
        prune_snapshots(self._database, store, damaged=damaged)

    def restore_snapshot(self, store: SnapshotStore, *, scratch: Path, actor: str) -> RestoredSnapshot | None:
        """Restore the newest intact snapshot; see `registry.backup.snapshots.restore_snapshot`."""
        return restore_snapshot(self._database, self.blobs, store, scratch=scratch, actor=actor)

    def restored_since(self, revision: int) -> bool:
        """Return whether a name may mean another version than at this revision.

        That is the case after a backup was restored, or after a permanent deletion that freed names.
        """
        with self._database.reading() as session:
            return renamed_after(session, revision)

    def seen_by(self, visibility: Visibility) -> "Registry":
        """Return the same registry as a reader sees it, for whom hidden things do not exist.

        Args:
            visibility: what the reader sees.
        """
        return Registry(self._database.seen_by(visibility), self.blobs, self.upgrade)

    def delete_inactive(self, owners: Owners, *, before: datetime, actor: str) -> Deletion:
        """Permanently delete the adapters and runs of certain owners that have not changed since `before`.

        Queued and running runs stay until they have ended. Files that are no longer referenced are removed
        from the store after the rows; files that an interrupted deletion left are removed too.

        Args:
            owners: whose things may be deleted.
            before: things with a later change are kept.
            actor: the author of the event that is recorded.

        Raises:
            DatabaseNotWritable: if the rows cannot be deleted. Nothing is changed then.
            BlobStoreUnreachable: if files cannot be removed now. The next call removes them.
        """
        with self._database.writing() as session:
            deletion = delete_inactive(session, owners, before, self._database.now(), actor)
            files_may_be_left = has_deletions(session)  # by this deletion, or by a killed process before
        if files_may_be_left:
            self.maintenance.remove_released()
            self._database.purge()
        return deletion

    def owners(self, owners: Owners) -> set[str]:
        """Return the names of those of the owners who have an adapter or a run."""
        with self._database.reading() as session:
            adapters = select(AdapterRow.owner).where(owners.condition(AdapterRow.owner)).distinct()
            runs = select(RunRow.created_by).where(owners.condition(RunRow.created_by)).distinct()
            return {*session.scalars(adapters), *session.scalars(runs)}

    def deleted_runs(self, run_ids: Collection[str]) -> set[str]:
        """Return those of the ids that belong to permanently deleted runs."""
        with self._database.reading() as session:
            return deleted_among(session, run_ids)

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.engine.dispose()

    def __enter__(self) -> "Registry":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
