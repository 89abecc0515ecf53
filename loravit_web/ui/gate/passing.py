"""The folder of temporary files: uploads, and copies that a browser may fetch.

Each process has its own folder and removes it at the end. The next start removes folders of killed processes,
and a sweep removes old files.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from loravit_web.errors import LoraVitError
from loravit_web.settings.temporary import unusable

PREFIX, LOCK, ARRIVING = "loravit-", ".lock", "arriving"
MIB = 1 << 20
_YOUNG_SECONDS = 600.0
"""Age in seconds from which files of other visitors may be removed for a new upload."""
_NEARLY_FULL = 0.9
"""Fraction of the limit from which all files are counted again, because pages also write copies."""
_COUNT_EVERY, _COUNTING_SHARE = 1.0, 0.02
"""Minimum seconds between two counts, and maximum fraction of the time. A count walks the whole folder."""


class NoRoom(LoraVitError):
    """The limit on temporary files is reached."""


@dataclass
class _Upload:
    """An uploaded file.

    Attributes:
        source: Name of a member, or the sender's address as from `addresses.source_of`.
        size: Size in bytes.
        since: Time of its arrival in seconds on the folder's clock.
        owner: Only visitor who may fetch the file, or None for all who know its path.
    """

    source: str
    size: int
    since: float
    owner: str | None = None


class PassingFiles:
    """The folder of one process, with limits on its size. Thread-safe.

    Args:
        parent: Folder that contains the folders of all processes.
        most: Maximum size of all files in bytes.
        most_of_one: Maximum size of one visitor's files in bytes. New files replace their oldest ones.
        seconds: Age in seconds after which a file is removed.
        clock: Returns the time in seconds.

    Raises:
        TemporaryFolderUnusable: If the folder cannot be created in ``parent``.
    """

    def __init__(
        self,
        parent: Path,
        *,
        most: int,
        most_of_one: int,
        seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self.most_of_one = most_of_one
        self.folder = parent.resolve() / f"{PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        self._alive = FileLock(f"{self.folder}{LOCK}")
        try:
            parent.mkdir(parents=True, exist_ok=True)
            remove_left(parent)
            self._alive.acquire()
            self.folder.mkdir(mode=0o700)
        except OSError as error:
            self._alive.release()
            raise unusable(parent, error) from error
        self._lock = threading.Lock()
        self._uploads: dict[Path, _Upload] = {}  # in the order in which they arrived
        self._arrivals: list[Path] = []  # empty folders, for the next uploads
        self._arriving: dict[str, int] = {}
        self._totals: Counter[str] = Counter()
        self._all = 0  # the last count, plus later changes
        self._count_again = 0.0

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._alive.release()
        Path(f"{self.folder}{LOCK}").unlink(missing_ok=True)

    def arrival(self) -> Path:
        """Return an empty folder for files that are being received. The caller gives it to `end_arrival`."""
        with self._lock:
            kept = self._arrivals.pop() if self._arrivals else None
        folder = kept or self.folder / ARRIVING / secrets.token_hex(16)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def end_arrival(self, folder: Path) -> None:
        """Remove what a broken upload left, and keep a folder from `arrival` for another upload.

        Removing a folder takes longer than all else of an upload on some file systems: 2 ms on an ext4 disk
        that is mounted with ``discard``.
        """
        with os.scandir(folder) as left:
            is_empty = next(left, None) is None
        if is_empty:
            with self._lock:
                self._arrivals.append(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def reserve(self, source: str, size: int) -> None:
        """Reserve space for an upload, and remove old files if needed.

        Args:
            source: Name or address of the visitor.
            size: Size in bytes.

        Raises:
            NoRoom: If the upload exceeds the visitor's limit, or if the files of others take the space.
        """
        with self._lock:
            coming = self._arriving.get(source, 0) + size
            if coming > self.most_of_one:
                raise NoRoom(
                    f"These files exceed the {self.most_of_one // MIB} MiB that one visitor may upload at "
                    "once. Send fewer or smaller files."
                )
            if self._totals[source] + coming > self.most_of_one:
                for path in [path for path, one in self._uploads.items() if one.source == source]:
                    if self._totals[source] + coming <= self.most_of_one:
                        break
                    self._remove(path)
            self._make_room(source, size)
            self._arriving[source] = coming

    def release(self, source: str, size: int) -> None:
        """Release a reservation after the files have arrived or failed."""
        with self._lock:
            left = self._arriving.get(source, 0) - size
            if left > 0:
                self._arriving[source] = left
            else:
                self._arriving.pop(source, None)

    def arrived(self, source: str, file: Path, *, owner: str | None = None) -> Path:
        """Move a received file to its final path, and return that path.

        Args:
            source: Name or address of the visitor.
            file: File in a folder that is named after its content, inside a folder from `arrival`.
            owner: Only visitor who may fetch the file, or None for all who know its path.
        """
        place = self.folder / file.parent.name / file.name
        try:
            file.parent.rename(place.parent)
        except FileNotFoundError:  # it came along with another file of the same content
            pass
        except OSError:  # the same content was uploaded before
            file.replace(place)
            with suppress(OSError):  # another file of the same content is still in it
                file.parent.rmdir()
        size = place.stat().st_size
        with self._lock:
            self._forget(place)  # if the same content was uploaded before
            self._uploads[place] = _Upload(source, size, self._clock(), owner)
            self._totals[source] += size
            self._all += size
        return place

    def owner_of(self, path: Path) -> str | None:
        """Return the only visitor who may fetch a file, or None for all who know its path."""
        with self._lock:
            upload = self._uploads.get(path)
        return upload.owner if upload is not None else None

    def sweep(self) -> int:
        """Remove old files and empty folders, and return the number of files."""
        limit, removed = self._clock() - self._seconds, 0
        with self._lock:
            idle, self._arrivals = self._arrivals, []
        for folder in idle:
            with suppress(FileNotFoundError):
                folder.rmdir()
        for parent, folders, names in os.walk(self.folder, topdown=False):
            for name in names:
                path = Path(parent, name)
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < limit:
                        path.unlink()
                        removed += 1
            for name in folders:
                folder = Path(parent, name)
                with suppress(OSError):  # not empty
                    if folder.stat().st_mtime < limit:
                        folder.rmdir()
        gone = [path for path in list(self._uploads) if not path.exists()]
        with self._lock:
            for path in gone:
                self._forget(path)
            self._all = self.used()
        return removed

    def used(self) -> int:
        """Return the size of all files in bytes, without those that are being received."""
        total = 0
        for parent, folders, names in os.walk(self.folder):
            if parent == str(self.folder) and ARRIVING in folders:
                folders.remove(ARRIVING)  # `reserve` has counted them
            for name in names:
                with suppress(FileNotFoundError):
                    total += Path(parent, name).stat().st_size
        return total

    def _make_room(self, source: str, size: int) -> None:
        """Remove the visitor's oldest files, then the oldest of all, until there is space.

        The caller holds the lock.
        """
        coming = sum(self._arriving.values()) + size
        if self._all + coming > _NEARLY_FULL * self._most and self._clock() >= self._count_again:
            began = time.perf_counter()
            self._all = self.used()
            took = time.perf_counter() - began
            self._count_again = self._clock() + max(_COUNT_EVERY, took / _COUNTING_SHARE)
        short = self._all + coming - self._most
        if short <= 0:
            return
        limit = self._clock() - _YOUNG_SECONDS
        removable = [
            (one.source != source, one.since, path, one.size)
            for path, one in self._uploads.items()
            if one.source == source or one.since <= limit
        ]
        for _others, _since, path, freed in sorted(removable):
            if short <= 0:
                break
            self._remove(path)
            short -= freed
        if short > 0:
            raise NoRoom("The server has no space for more uploads. Please try again in ten minutes.")

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._forget(path)

    def _forget(self, path: Path) -> None:
        """Stop counting a file. The caller holds the lock."""
        upload = self._uploads.pop(path, None)
        if upload is None:
            return
        self._all -= upload.size
        self._totals[upload.source] -= upload.size
        if not self._totals[upload.source]:
            del self._totals[upload.source]


def remove_left(parent: Path) -> int:
    """Remove the folders of processes that have ended, and return their number.

    Folders of other users, who may share the parent, are left to them.
    """
    removed = 0
    for folder in parent.glob(f"{PREFIX}*-*"):
        if folder.name.endswith(LOCK) or not folder.is_dir() or folder.is_symlink():
            continue
        lock = FileLock(f"{folder}{LOCK}")
        try:
            lock.acquire(timeout=0)
        except (Timeout, PermissionError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        with suppress(PermissionError):
            Path(f"{folder}{LOCK}").unlink(missing_ok=True)
        removed += 1
    for lock_file in parent.glob(f"{PREFIX}*{LOCK}"):
        if not Path(str(lock_file).removesuffix(LOCK)).exists():
            lock = FileLock(lock_file)
            with suppress(Timeout, PermissionError):
                lock.acquire(timeout=0)
                lock.release()
                lock_file.unlink(missing_ok=True)
    return removed
