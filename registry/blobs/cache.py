"""Local copies of blobs from a remote store, so that the same bytes are not fetched twice."""

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
    """A folder of files by digest, limited in size; the least recently read ones are evicted.

    The folder may be deleted at any time, and several processes may use it at once. An error of the cache is
    logged and only costs another fetch.
    """

    def __init__(self, folder: Path, limit: int = CACHE_BYTES) -> None:
        self._folder = folder
        self._limit = limit

    def get(self, sha256: str) -> bytes | None:
        """Return the verified bytes, or None if there is no intact copy. A damaged copy is removed."""
        path = self._folder / sha256
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == sha256:
                os.utime(path)
                return data
            _LOG.warning("The cached file %s is damaged. It is fetched again.", path)
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOG.warning("The cached file %s cannot be used (%s).", path, error)
        return None

    def add(self, sha256: str, data: bytes) -> None:
        """Keep a copy of these bytes, and evict the least recently read ones if the limit is exceeded."""
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
        """Remove all copies except those of these digests."""
        try:
            for path in list(self._folder.glob("[0-9a-f]*")):
                if path.name not in digests and not path.suffix:
                    path.unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("A copy in %s cannot be removed (%s).", self._folder, error)

    def _shrink(self) -> None:
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another process has just removed it
            if path.suffix == ".tmp" and time.time() - status.st_mtime < ABANDONED_SECONDS:
                continue  # another process is writing it
            found.append((0.0 if path.suffix else status.st_mtime, status.st_size, path))
        total = sum(size for _read_at, size, _path in found)
        for _read_at, size, path in sorted(found):
            if total <= self._limit and not path.suffix:
                return
            path.unlink(missing_ok=True)
            total -= size
