"""Copies of blobs from a store elsewhere, so that serving doesn't fetch the same bytes again."""

import hashlib
import logging
import os
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

CACHE_BYTES = 2 << 30
ABANDONED_SECONDS = 3600.0
_LOG = logging.getLogger(__name__)


class BlobCache:
    """A folder of files by digest, at most `limit` bytes, least recently read out.

    It may be deleted at any time, and several processes may use it at once. Whatever goes wrong with it
    is told to the log and costs a fetch, nothing else.
    """

    def __init__(self, folder: Path, limit: int = CACHE_BYTES) -> None:
        self._folder = folder
        self._limit = limit

    def get(self, sha256: str) -> bytes | None:
        """The verified bytes, or None; a damaged copy is removed."""
        path = self._folder / sha256
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == sha256:
                os.utime(path)
                return data
            _LOG.warning("The cached file %s is damaged; it is fetched again.", path)
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOG.warning("The cached file %s can't be used (%s).", path, error)
        return None

    def add(self, sha256: str, data: bytes) -> None:
        """Keep the bytes of this digest, and let go of the oldest where the limit calls for it."""
        if len(data) > self._limit:
            return
        temporary = self._folder / f"{uuid.uuid4().hex}.tmp"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(self._folder / sha256)
            self._shrink()
        except OSError as error:
            _LOG.warning("No copy is kept in %s (%s).", self._folder, error)
            with suppress(OSError):
                temporary.unlink()

    def keep(self, digests: Collection[str]) -> None:
        """Let go of all copies but those of these digests."""
        try:
            for path in list(self._folder.glob("[0-9a-f]*")):
                if path.name not in digests and not path.suffix:
                    path.unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("A copy in %s can't be removed (%s).", self._folder, error)

    def _shrink(self) -> None:
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another process has just removed it
            if path.suffix == ".tmp" and time.time() - status.st_mtime < ABANDONED_SECONDS:
                continue  # somebody is writing it
            found.append((0.0 if path.suffix else status.st_mtime, status.st_size, path))
        size = sum(one[1] for one in found)
        for _read_at, bytes_, path in sorted(found):
            if size <= self._limit and not path.suffix:
                return
            path.unlink(missing_ok=True)
            size -= bytes_
