"""Blobs in any file system that fsspec supports, such as a bucket or a file server."""

import hashlib
import re
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from registry.blobs.cache import BlobCache
from registry.blobs.errors import BlobMissing, BlobNotStored, BlobStoreUnreachable, UnusableArtifactAddress
from registry.blobs.store import BLOBS, TEMPORARY, BlobStore, StoredFile, blob_name, is_own, own_name
from registry.errors import RegistryError
from registry.records import BlobInfo

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci", "hf", "memory"})
"""Protocols under which an upload appears complete or not at all. Elsewhere it may leave a partial file."""
_IMPATIENT: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}}}
}
"""Options by protocol that let a request fail within seconds while the store is away.

By default s3fs tries for 51 s, and visitors wait for it. A training tries again itself. Each store gets a
copy, because botocore changes what it is given.
"""


class RemoteBlobs(BlobStore):
    """Blobs in a folder of an fsspec file system, with an optional cache of the files that were read."""

    def __init__(self, files: Any, root: str, cache: BlobCache | None = None) -> None:
        """Use the folder `root` of the file system `files`."""
        self._files = files
        self._path = root.rstrip("/")
        self._cache = cache
        self._puts_are_atomic = puts_are_atomic(files)

    @property
    def root(self) -> str:
        """The address of the folder, without user names and passwords."""
        return str(self._files.unstrip_protocol(self._path))

    def put_bytes(self, data: bytes) -> BlobInfo:
        """Store `data`, and check the copy that the store returns; see `BlobStore.put_bytes`."""
        blob = BlobInfo(hashlib.sha256(data).hexdigest(), len(data))
        with raising_not_stored(self.root):
            if self._puts_are_atomic:
                self._files.pipe_file(self._key(blob.sha256), data)
            elif self._digest(self._key(blob.sha256)) != blob.sha256:
                self._upload_and_move(data, blob.sha256)
            arrived = self._digest(self._key(blob.sha256))
        if arrived != blob.sha256:
            raise BlobNotStored(self.root, "the stored bytes differ from the bytes sent")
        return blob

    def put_file(self, source: Path) -> BlobInfo:
        """Store a copy of the file `source`, which must fit into memory."""
        return self.put_bytes(source.read_bytes())

    def has(self, sha256: str) -> bool:
        """Return whether a file of this digest is stored."""
        with raising_unreachable(self.root):
            self._files.invalidate_cache()
            return bool(self._files.isfile(self._key(sha256)))

    def read(self, sha256: str, *, fresh: bool = False) -> bytes:
        """Return the verified bytes, from the cache unless `fresh`; see `BlobStore.read`."""
        if self._cache is None:
            return self.fetch(sha256)
        data = None if fresh else self._cache.get(sha256)
        if data is None:
            data = self.fetch(sha256)
            self._cache.add(sha256, data)
        return data

    def list(self) -> Iterator[StoredFile]:
        """Yield every file that the store owns."""
        for folder in (TEMPORARY, BLOBS):
            for path, details in self._found(f"{self._path}/{folder}").items():
                name = str(path)[len(self._path) :].lstrip("/")
                if is_own(name):
                    yield StoredFile(name, int(details.get("size") or 0))

    def modified(self, file: StoredFile) -> datetime | None:
        """Return when the file was last written; None if it does not exist or the store cannot tell."""
        path = f"{self._path}/{own_name(file)}"
        with raising_unreachable(self.root):
            try:
                found = self._files.modified(path)
            except (FileNotFoundError, NotImplementedError):
                return None
        if not isinstance(found, datetime):
            return None
        return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)

    def delete(self, file: StoredFile) -> None:
        """Remove this file, if it still exists."""
        path = f"{self._path}/{own_name(file)}"
        with raising_unreachable(self.root):
            self._remove(path)

    def keep_copies(self, digests: Collection[str]) -> None:
        """Remove all cached copies except those of these digests."""
        if self._cache is not None:
            self._cache.keep(digests)

    def _bytes(self, sha256: str) -> bytes:
        try:
            with raising_unreachable(self.root):
                return bytes(self._files.cat_file(self._key(sha256)))
        except FileNotFoundError as error:
            raise BlobMissing(self.where(sha256), "there is no such file") from error

    def _key(self, sha256: str) -> str:
        return f"{self._path}/{blob_name(sha256)}"

    def _digest(self, path: str) -> str | None:
        """Return the SHA-256 of the stored bytes, or None if there is no such file."""
        try:
            return hashlib.sha256(self._files.cat_file(path)).hexdigest()
        except FileNotFoundError:
            return None

    def _upload_and_move(self, data: bytes, sha256: str) -> None:
        key, temporary = self._key(sha256), f"{self._path}/{TEMPORARY}/{uuid.uuid4().hex}"
        for path in (key, temporary):
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            self._files.pipe_file(temporary, data)
            if self._digest(temporary) != sha256:
                raise BlobNotStored(self.root, "the stored bytes differ from the bytes sent")
            self._remove(key)  # a damaged copy: many servers refuse to rename onto an existing file
            self._move(temporary, key, sha256)
        finally:
            self._remove(temporary)

    def _move(self, temporary: str, key: str, sha256: str) -> None:
        try:
            self._files.mv(temporary, key)
        except Exception:
            # another process may have stored the same bytes in the meantime
            if self._digest(key) != sha256:
                raise

    def _remove(self, path: str) -> None:
        self._files.invalidate_cache()
        try:
            self._files.rm_file(path)
        except FileNotFoundError:
            return

    def _found(self, folder: str) -> dict[str, dict[str, Any]]:
        with raising_unreachable(self.root):
            self._files.invalidate_cache()
            try:
                return dict(self._files.find(folder, detail=True))
            except FileNotFoundError:
                return {}


# the package of each protocol raises its own classes, so these two catch every exception


@contextmanager
def raising_unreachable(where: str) -> Iterator[None]:
    """Convert any error of a file system to BlobStoreUnreachable, except FileNotFoundError."""
    try:
        yield
    except (FileNotFoundError, RegistryError):
        raise
    except Exception as error:
        raise BlobStoreUnreachable(where, _reason(error)) from error


@contextmanager
def raising_not_stored(where: str) -> Iterator[None]:
    """Convert any error of a file system to BlobNotStored."""
    try:
        yield
    except RegistryError:
        raise
    except Exception as error:
        raise BlobNotStored(where, _reason(error)) from error


def puts_are_atomic(files: Any) -> bool:
    """Return whether an upload to this file system appears complete or not at all."""
    protocols = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
    return bool(protocols & OBJECT_STORES)


def open_remote(address: str, cache: BlobCache | None = None) -> RemoteBlobs:
    """Open the store at an address such as `s3://bucket/folder`, without connecting to it yet.

    Raises:
        UnusableArtifactAddress: as for `open_files`.
    """
    return RemoteBlobs(*open_files(address), cache)


def open_files(address: str) -> tuple[Any, str]:
    """Return the file system of an address such as `s3://bucket/folder` and the path in it.

    This does not connect to the file system yet.

    Raises:
        UnusableArtifactAddress: if the address cannot be written to, or the package of its protocol is not
            installed.
    """
    # imported here because a local folder does not need it
    from fsspec.core import url_to_fs

    shown = re.sub("//[^/@]*@", "//", address)
    if "::" in address:
        raise UnusableArtifactAddress(shown, "nested file systems cannot be written safely")
    try:
        files, root = url_to_fs(address, **deepcopy(_IMPATIENT.get(address.partition("://")[0], {})))
    except Exception as error:
        raise UnusableArtifactAddress(shown, _reason(error)) from error
    return files, str(root)


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")
