"""The folder of files that only pass through an app: uploads, and copies that a browser may fetch.

Each process has a folder of its own, which ends with it. What a killed process left is removed by the next
start, and what lies there too long by a sweep.
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

PREFIX, LOCK, ARRIVING = "loravit-", ".lock", "arriving"
MIB = 1 << 20
_YOUNG_SECONDS = 600.0
"""Files of others are not removed for a new upload before they are as old."""
_NEARLY_FULL = 0.9
"""From this share of the limit on, files beside uploads are counted again: copies that a page shows."""
_COUNT_EVERY, _COUNTING_SHARE = 1.0, 0.02
"""At most once in as many seconds, and with as much of the time: counting looks through the whole folder."""


class NoRoom(LoraVitError):
    """As much passes through the app as may."""


@dataclass
class _Upload:
    """A file that a visitor gave.

    Attributes:
        source: who gave it, see `addresses.source_of`, or the name of a member.
        size: bytes.
        since: when it had arrived, in seconds on the folder's clock.
        owner: who alone may fetch it; None for everybody who knows where it is.
    """

    source: str
    size: int
    since: float
    owner: str | None = None


class PassingFiles:
    """One process's folder, with how much it may hold. Safe to use from any number of threads.

    Args:
        parent: where the folders of all processes are.
        most: bytes of all files together.
        most_of_one: bytes that one visitor may have there; their oldest files make room for new ones.
        seconds: after which a file is removed.
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
        parent.mkdir(parents=True, exist_ok=True)
        remove_left(parent)
        self.folder = parent.resolve() / f"{PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        self._alive = FileLock(f"{self.folder}{LOCK}")
        self._alive.acquire()
        self.folder.mkdir(mode=0o700)
        self._lock = threading.Lock()
        self._uploads: dict[Path, _Upload] = {}  # in the order in which they arrived
        self._arriving: dict[str, int] = {}
        self._totals: Counter[str] = Counter()
        self._all = 0  # as the last count found, and what came and went since
        self._count_again = 0.0

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._alive.release()
        Path(f"{self.folder}{LOCK}").unlink(missing_ok=True)

    def arrival(self) -> Path:
        """Return a new folder for files that are on their way; the caller removes it."""
        folder = self.folder / ARRIVING / secrets.token_hex(16)
        folder.mkdir(parents=True)
        return folder

    def reserve(self, source: str, size: int) -> None:
        """Count bytes that are on their way, after making room for them.

        Raises:
            NoRoom: if they are more than one visitor may have there, or others' files take the room.
        """
        with self._lock:
            coming = self._arriving.get(source, 0) + size
            if coming > self.most_of_one:
                raise NoRoom(
                    f"These files take more than the {self.most_of_one // MIB} MiB that one visitor may send "
                    "at once. Send fewer or smaller ones."
                )
            if self._totals[source] + coming > self.most_of_one:
                for path in [path for path, one in self._uploads.items() if one.source == source]:
                    if self._totals[source] + coming <= self.most_of_one:
                        break
                    self._remove(path)
            self._make_room(source, size)
            self._arriving[source] = coming

    def release(self, source: str, size: int) -> None:
        """Take a reservation back: the files have arrived, or will not."""
        with self._lock:
            left = self._arriving.get(source, 0) - size
            if left > 0:
                self._arriving[source] = left
            else:
                self._arriving.pop(source, None)

    def arrived(self, source: str, file: Path, *, owner: str | None = None) -> Path:
        """Move a file from its arrival to where the app reads it.

        Args:
            owner: who alone may fetch it; None for everybody who knows where it is.
            file: in a folder of its own, named after the content, in a folder of `arrival`.
        """
        place = self.folder / file.parent.name / file.name
        place.parent.mkdir(exist_ok=True)
        file.replace(place)
        with suppress(OSError):  # another file of the same content is still in it
            file.parent.rmdir()
        size = place.stat().st_size
        with self._lock:
            self._forget(place)  # the same content from the same visitor, or another, once more
            self._uploads[place] = _Upload(source, size, self._clock(), owner)
            self._totals[source] += size
            self._all += size
        return place

    def owner_of(self, path: Path) -> str | None:
        """Return who alone may fetch a file; None for everybody who knows where it is."""
        with self._lock:
            upload = self._uploads.get(path)
        return upload.owner if upload is not None else None

    def sweep(self) -> int:
        """Remove files that lie there too long, and folders that are empty then; return how many files."""
        limit, removed = self._clock() - self._seconds, 0
        for parent, folders, names in os.walk(self.folder, topdown=False):
            for name in names:
                path = Path(parent, name)
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < limit:
                        path.unlink()
                        removed += 1
            for name in folders:
                folder = Path(parent, name)
                with suppress(OSError):  # something is in it
                    if folder.stat().st_mtime < limit:
                        folder.rmdir()
        gone = [path for path in list(self._uploads) if not path.exists()]
        with self._lock:
            for path in gone:
                self._forget(path)
            self._all = self.used()
        return removed

    def used(self) -> int:
        """Return the bytes of all files in the folder, without those that are on their way."""
        total = 0
        for parent, folders, names in os.walk(self.folder):
            if parent == str(self.folder) and ARRIVING in folders:
                folders.remove(ARRIVING)  # `reserve` has counted them
            for name in names:
                with suppress(FileNotFoundError):
                    total += Path(parent, name).stat().st_size
        return total

    def _make_room(self, source: str, size: int) -> None:
        """Remove the visitor's own oldest files, then the oldest of all, until there is room.

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
            raise NoRoom(
                "The app has no room for more uploads at the moment. Please try again in ten minutes."
            )

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._forget(path)

    def _forget(self, path: Path) -> None:
        """Count a file no more. The caller holds the lock."""
        upload = self._uploads.pop(path, None)
        if upload is None:
            return
        self._all -= upload.size
        self._totals[upload.source] -= upload.size
        if not self._totals[upload.source]:
            del self._totals[upload.source]


def remove_arrival(folder: Path) -> None:
    """Remove the folder of an arrival; an empty one, as a complete upload leaves it, at once."""
    try:
        folder.rmdir()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left(parent: Path) -> int:
    """Remove the folders of processes that are gone, and return how many there were."""
    removed = 0
    for folder in parent.glob(f"{PREFIX}*-*"):
        if folder.name.endswith(LOCK) or not folder.is_dir() or folder.is_symlink():
            continue
        lock = FileLock(f"{folder}{LOCK}")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        Path(f"{folder}{LOCK}").unlink(missing_ok=True)
        removed += 1
    for lock_file in parent.glob(f"{PREFIX}*{LOCK}"):
        if not Path(str(lock_file).removesuffix(LOCK)).exists():
            lock = FileLock(lock_file)
            with suppress(Timeout):
                lock.acquire(timeout=0)
                lock.release()
                lock_file.unlink(missing_ok=True)
    return removed
