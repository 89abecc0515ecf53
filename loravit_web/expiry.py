"""Deletion of everything that belongs to visitors of a demo after a time.

Rows are deleted first, in one transaction. What lies in folders is found by what the rows left, so the next
run finishes what a killed process did not, and every machine clears its own folders.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from loravit_web.access.rights import APP, GUESTS
from loravit_web.datasets import DatasetStore, Uploader
from loravit_web.settings.environment import Settings
from registry import Deletion, Registry, UnknownDataset

SERVED = "visitors"
"""Folder, inside the web server's own, for copies of files of demo visitors."""
_KEPT_COPIES = 3600.0
"""Seconds for which a copy is kept for a visitor of whom nothing is stored."""
_IN_PROGRESS = timedelta(hours=1)
_RUN_ID = re.compile("[0-9a-f]{32}")
_LOG = logging.getLogger(__name__)


def served_folder(owner: str) -> str:
    """Return the folder, relative to the web server's, of copies of a visitor's files."""
    return f"{SERVED}/{hashlib.blake2b(owner.encode(), digest_size=16).hexdigest()}"


@dataclass(frozen=True)
class Expiry:
    """Deletes everything that belongs to demo visitors and is old enough.

    Attributes:
        settings: Settings of the app.
        registry: Registry of the app.
        datasets: Store with all datasets.
        uploads: Folder of the web server's uploads, or None if unknown.
    """

    settings: Settings
    registry: Registry
    datasets: DatasetStore
    uploads: Path | None = None

    def carry_out(self, now: datetime) -> Deletion:
        """Delete all data that was not used for `LORAVIT_DEMO_HOURS`.

        Args:
            now: Current time.

        Returns:
            The deleted rows.

        Raises:
            RegistryError: If rows cannot be deleted. The next call tries again.
            DatasetError: If images cannot be deleted.
            OSError: If other files cannot be deleted.
        """
        before = now - timedelta(hours=self.settings.demo.hours)
        deletion = self.registry.delete_inactive(GUESTS, before=before, actor=APP)
        owners = {*deletion.owners, *self._remove_datasets(before)}
        self._remove_folders_of_runs()
        self._remove_copies(owners)
        self.datasets.sweep(min(24.0, self.settings.demo.hours) * 3600)
        if deletion:
            _LOG.info(
                "Data of demo visitors that was not used for %g hours was deleted.", self.settings.demo.hours
            )
            self._remove_leftovers()
        return deletion

    def _remove_datasets(self, before: datetime) -> Iterator[str]:
        """Remove old datasets that no run needs, and yield the names of their uploaders."""
        for fingerprint, uploader in self.datasets.uploaders().items():
            if self.datasets.uploaded_at(fingerprint) < before.timestamp() and not self._needed(fingerprint):
                self._remove_uploads(uploader)
                self.datasets.remove(fingerprint)
                yield uploader.name

    def _needed(self, fingerprint: str) -> bool:
        try:
            self.registry.datasets.get(fingerprint)
        except UnknownDataset:
            return False
        return True

    def _remove_uploads(self, uploader: Uploader) -> None:
        """Remove the uploaded files of a dataset that are in the web server's folder."""
        if self.uploads is None:
            return
        folder = self.uploads.resolve()
        for path in map(Path, uploader.uploads):
            if path.resolve().is_relative_to(folder) and path.is_file():
                path.unlink(missing_ok=True)
                with suppress(OSError):  # it contains another upload
                    path.parent.rmdir()

    def _remove_folders_of_runs(self) -> None:
        """Remove checkpoints and logs of deleted runs, whichever process deleted them."""
        places = {path: path.name for path in self.settings.work.glob("*")}
        places |= {path: path.stem for path in self.settings.run_logs.glob("*.log")}
        run_ids = {run_id for run_id in places.values() if _RUN_ID.fullmatch(run_id)}
        gone = self.registry.deleted_runs(run_ids) if run_ids else set()
        for path, run_id in places.items():
            if run_id in gone:
                _remove(path)

    def _remove_copies(self, owners: Collection[str]) -> None:
        """Remove copies of files of these owners, and of owners who have no data any more.

        Copies of other data are made again when they are requested.
        """
        if self.uploads is None:
            return
        live = {
            *self.registry.owners(GUESTS),
            *(uploader.name for uploader in self.datasets.uploaders().values()),
        }
        changed, kept = ({served_folder(name) for name in names} for names in (owners, live))
        for folder in _folders(self.uploads / SERVED):
            name = f"{SERVED}/{folder.name}"
            if name in changed or (name not in kept and _written(folder) < time.time() - _KEPT_COPIES):
                _remove(folder)

    def _remove_leftovers(self) -> None:
        """Remove files of unfinished publications, and clear the worker's log, which may name them."""
        for file in self.registry.maintenance.unreferenced(_IN_PROGRESS):
            self.registry.maintenance.remove(file, _IN_PROGRESS)
        log = self.settings.worker_log
        if log.exists():
            with log.open("r+b") as opened:  # a running worker appends to the same file
                opened.truncate(0)


def _folders(parent: Path) -> list[Path]:
    """Return what a folder contains; nothing if it belongs to another user, whose files are not the app's."""
    try:
        return list(parent.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _written(folder: Path) -> float:
    """Return the time of the last write in a folder."""
    return max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0.0)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):  # another process removed it
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
