"""Blobs in a local folder. Each is safely on disk before its name appears."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from hashlib import sha256 as new_sha256
from pathlib import Path

from registry.blobs.atomic_file import sync_folder
from registry.blobs.errors import BlobMissing, BlobNotStored, BlobStoreFull, BlobStoreUnreachable
from registry.blobs.store import BLOBS, TEMPORARY, BlobStore, StoredFile, blob_name, is_own, own_name
from registry.records import BlobInfo

CHUNK_BYTES = 1 << 20
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalBlobs(BlobStore):
    """Blobs in a local folder, which several processes may use at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tmp = folder / TEMPORARY
        self._blobs = folder / BLOBS
        try:
            self._tmp.mkdir(parents=True, exist_ok=True)
            self._blobs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BlobNotStored(str(folder), _reason(error)) from error

    @property
    def root(self) -> str:
        """The path of the folder."""
        return str(self._folder)

    @property
    def folder(self) -> Path:
        """The folder."""
        return self._folder

    def put_bytes(self, data: bytes) -> BlobInfo:
        """Store `data`; see `BlobStore.put_bytes`."""
        return self._put([data], len(data))

    def put_file(self, source: Path) -> BlobInfo:
        """Store a copy of the file `source`, without loading it into memory as a whole."""
        with source.open("rb") as file:
            return self._put(iter(lambda: file.read(CHUNK_BYTES), b""), source.stat().st_size)

    def has(self, sha256: str) -> bool:
        """Return whether a file of this digest is stored."""
        return self.path(sha256).is_file()

    def path(self, sha256: str) -> Path:
        """Return the path of the file of this digest, stored or not. The caller must verify its content."""
        return self._folder / blob_name(sha256)

    def where(self, sha256: str) -> str:
        """Return the path of the file of this digest, for messages."""
        return str(self.path(sha256))

    def list(self) -> Iterator[StoredFile]:
        """Yield every file that the store owns."""
        for path in (*self._tmp.glob("*"), *self._blobs.glob("*/*")):
            name = path.relative_to(self._folder).as_posix()
            try:
                if is_own(name) and path.is_file() and not path.is_symlink():
                    yield StoredFile(name, path.stat().st_size)
            except FileNotFoundError:
                continue  # another process has just renamed or removed it

    def modified(self, file: StoredFile) -> datetime | None:
        """Return when the file was last written; None if it does not exist."""
        try:
            seconds = (self._folder / own_name(file)).stat().st_mtime
        except FileNotFoundError:
            return None
        return datetime.fromtimestamp(seconds, timezone.utc)

    def delete(self, file: StoredFile) -> None:
        """Remove this file, if it still exists."""
        path = self._folder / own_name(file)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BlobStoreUnreachable(str(path), _reason(error)) from error

    def _bytes(self, sha256: str) -> bytes:
        path = self.path(sha256)
        try:
            return path.read_bytes()
        except OSError as error:
            raise BlobMissing(str(path), _reason(error)) from error

    def _put(self, chunks: Iterable[bytes], size: int) -> BlobInfo:
        # each writer uses its own name, because two processes may store the same bytes at once
        temporary = self._tmp / uuid.uuid4().hex
        try:
            return self._write_and_rename(temporary, chunks)
        except OSError as error:
            _discard(temporary)
            if error.errno in _NO_SPACE:
                raise BlobStoreFull(self.root, size, shutil.disk_usage(self._folder).free) from error
            raise BlobNotStored(self.root, _reason(error)) from error
        finally:
            _discard(temporary)

    def _write_and_rename(self, temporary: Path, chunks: Iterable[bytes]) -> BlobInfo:
        blob = _write(temporary, chunks)
        target = self.path(blob.sha256)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            sync_folder(self._blobs)
        temporary.replace(target)
        sync_folder(target.parent)
        return blob


def _write(path: Path, chunks: Iterable[bytes]) -> BlobInfo:
    digest = new_sha256()
    size = 0
    with path.open("xb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return BlobInfo(digest.hexdigest(), size)


def _discard(temporary: Path) -> None:
    # a second error must not hide the first; maintenance removes the file later
    with suppress(OSError):
        temporary.unlink()


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
