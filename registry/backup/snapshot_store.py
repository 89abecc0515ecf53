"""Stores of snapshots: small named documents beside files by content, in a folder or a remote file system."""

import os
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from registry.blobs.atomic_file import sync_folder
from registry.blobs.errors import BlobMissing, BlobNotStored, BlobStoreUnreachable
from registry.blobs.local import LocalBlobs
from registry.blobs.remote import (
    RemoteBlobs,
    open_files,
    puts_are_atomic,
    raising_not_stored,
    raising_unreachable,
)
from registry.blobs.store import BlobStore

FOLDER = "snapshots"
"""The subfolder of all snapshots, so that the same place may also hold an artifact store."""
_NAME = re.compile(r"\d{8}-\d{8}T\d{6}Z-[0-9a-f]{16}\.json")


class SnapshotStore(ABC):
    """Documents whose names sort by time. A document appears complete, or not at all.

    Attributes:
        root: the location of the store, for messages.
        blobs: the files that the documents refer to.
    """

    root: str
    blobs: BlobStore

    def names(self) -> list[str]:
        """Return the names of all documents, newest first.

        Raises:
            BlobStoreUnreachable: if the store does not answer.
        """
        return sorted(filter(_NAME.fullmatch, self._files()), reverse=True)

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the content of a document.

        Raises:
            BlobMissing: if there is no such document.
            BlobStoreUnreachable: if the store does not answer.
        """

    def put(self, name: str, data: bytes) -> None:
        """Store a document, and check the copy that the store returns.

        Raises:
            BlobNotStored: if the store refuses the document or returns other bytes.
        """
        if _NAME.fullmatch(name) is None:
            raise BlobNotStored(self.root, f"{name!r} is not the name of a snapshot")
        self._put(name, data)
        if self.read(name) != data:
            raise BlobNotStored(self.root, "the stored bytes differ from the bytes sent")

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a document, if it still exists."""

    @abstractmethod
    def _files(self) -> Iterator[str]:
        """Yield the names of all files in the folder of the documents."""

    @abstractmethod
    def _put(self, name: str, data: bytes) -> None:
        """Store a document under a temporary name, then rename it."""


class LocalSnapshotStore(SnapshotStore):
    """Snapshots in a folder, such as a mounted bucket."""

    def __init__(self, folder: Path) -> None:
        self.blobs = LocalBlobs(folder)
        self.root, self._folder = str(folder), folder

    def read(self, name: str) -> bytes:
        """Return the content of a document; see `SnapshotStore.read`."""
        path = self._folder / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise BlobMissing(str(path), error.strerror or str(error)) from error

    def delete(self, name: str) -> None:
        """Remove a document, if it still exists."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise BlobStoreUnreachable(self.root, error.strerror or str(error)) from error

    def _files(self) -> Iterator[str]:
        try:
            yield from (path.name for path in self._folder.iterdir())
        except OSError as error:
            raise BlobStoreUnreachable(self.root, error.strerror or str(error)) from error

    def _put(self, name: str, data: bytes) -> None:
        temporary = self._folder / f".{name}.{uuid.uuid4().hex}.tmp"
        with self._raising_not_stored(temporary):
            # a single handle, because a mounted bucket may allow only one write per file
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._folder / name)
            sync_folder(self._folder)

    @contextmanager
    def _raising_not_stored(self, temporary: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise BlobNotStored(self.root, error.strerror or str(error)) from error


class RemoteSnapshotStore(SnapshotStore):
    """Snapshots in a folder of an fsspec file system."""

    def __init__(self, files: Any, root: str) -> None:
        self._system = files
        self._path = f"{root.rstrip('/')}/{FOLDER}"
        self._puts_are_atomic = puts_are_atomic(files)
        self.blobs = RemoteBlobs(files, self._path)
        self.root = self.blobs.root

    def read(self, name: str) -> bytes:
        """Return the content of a document; see `SnapshotStore.read`."""
        try:
            with raising_unreachable(self.root):
                return bytes(self._system.cat_file(f"{self._path}/{name}"))
        except FileNotFoundError as error:
            raise BlobMissing(f"{self.root}/{name}", "there is no such file") from error

    def delete(self, name: str) -> None:
        """Remove a document, if it still exists."""
        with raising_unreachable(self.root), suppress(FileNotFoundError):
            self._system.rm_file(f"{self._path}/{name}")

    def _files(self) -> Iterator[str]:
        with raising_unreachable(self.root):
            self._system.invalidate_cache()
            try:
                found = self._system.ls(self._path, detail=False)
            except FileNotFoundError:
                found = []
        yield from (str(path).rpartition("/")[2] for path in found)

    def _put(self, name: str, data: bytes) -> None:
        path = f"{self._path}/{name}"
        with raising_not_stored(self.root):
            if self._puts_are_atomic:
                self._system.pipe_file(path, data)
                return
            temporary = f"{self._path}/.{name}.{uuid.uuid4().hex}.tmp"
            self._system.makedirs(self._path, exist_ok=True)
            self._system.pipe_file(temporary, data)
            self._system.mv(temporary, path)


def open_snapshot_store(address: str) -> SnapshotStore:
    """Open the store in a folder, or at an fsspec address such as `s3://bucket/folder`.

    Raises:
        BlobNotStored: if the folder cannot be created.
        UnusableArtifactAddress: if no store can be opened at the address.
    """
    parts = urlsplit(address)
    if "://" not in address:
        return LocalSnapshotStore(Path(address).absolute() / FOLDER)
    if parts.scheme in ("file", "local"):
        return LocalSnapshotStore(Path(url2pathname(parts.path)).absolute() / FOLDER)
    return RemoteSnapshotStore(*open_files(address))
