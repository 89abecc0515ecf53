"""Where snapshots are kept: small named documents beside files by content, in a folder or at an address."""

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

from registry.blobs.errors import BlobMissing, BlobNotStored, BlobStoreUnreachable
from registry.blobs.local import LocalBlobs
from registry.blobs.remote import RemoteBlobs, asking, open_files, puts_whole, refusing
from registry.blobs.store import BlobStore
from registry.blobs.whole_file import sync_folder

FOLDER = "snapshots"
"""Everything lies in it, so that the place may hold published files of its own too."""
_NAME = re.compile(r"\d{8}-\d{8}T\d{6}Z-[0-9a-f]{16}\.json")


class Shelf(ABC):
    """Documents under names that sort in the order of their making; each appears whole or not at all.

    Attributes:
        root: where it is, for people.
        blobs: the files that documents speak of.
    """

    root: str
    blobs: BlobStore

    def names(self) -> list[str]:
        """The names of all documents, the newest first; BlobStoreUnreachable."""
        return sorted(filter(_NAME.fullmatch, self._files()), reverse=True)

    @abstractmethod
    def read(self, name: str) -> bytes:
        """What the document holds; BlobMissing or BlobStoreUnreachable."""

    def put(self, name: str, data: bytes) -> None:
        """Store a document, and see that it arrived; BlobNotStored."""
        if _NAME.fullmatch(name) is None:
            raise BlobNotStored(self.root, f"{name!r} is no name of a snapshot")
        self._put(name, data)
        if self.read(name) != data:
            raise BlobNotStored(self.root, "what arrived there is not what was sent")

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a document, which may be gone already."""

    @abstractmethod
    def _files(self) -> Iterator[str]:
        """The names of all files beside the documents."""

    @abstractmethod
    def _put(self, name: str, data: bytes) -> None:
        """Store under a temporary name, then under its own."""


class LocalShelf(Shelf):
    """In a folder, such as a mounted bucket."""

    def __init__(self, folder: Path) -> None:
        self.blobs = LocalBlobs(folder)
        self.root, self._folder = str(folder), folder

    def read(self, name: str) -> bytes:
        path = self._folder / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise BlobMissing(str(path), error.strerror or str(error)) from error

    def delete(self, name: str) -> None:
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
        with self._refusing(temporary):
            # one handle from start to end: a mounted bucket may let a file be written only once
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._folder / name)
            sync_folder(self._folder)

    @contextmanager
    def _refusing(self, temporary: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise BlobNotStored(self.root, error.strerror or str(error)) from error


class RemoteShelf(Shelf):
    """In a folder of a file system of fsspec."""

    def __init__(self, files: Any, root: str) -> None:
        self._system = files
        self._path = f"{root.rstrip('/')}/{FOLDER}"
        self._whole_puts = puts_whole(files)
        self.blobs = RemoteBlobs(files, self._path)
        self.root = self.blobs.root

    def read(self, name: str) -> bytes:
        try:
            with asking(self.root):
                return bytes(self._system.cat_file(f"{self._path}/{name}"))
        except FileNotFoundError as error:
            raise BlobMissing(f"{self.root}/{name}", "there is no such file") from error

    def delete(self, name: str) -> None:
        with asking(self.root), suppress(FileNotFoundError):
            self._system.rm_file(f"{self._path}/{name}")

    def _files(self) -> Iterator[str]:
        with asking(self.root):
            self._system.invalidate_cache()
            try:
                found = self._system.ls(self._path, detail=False)
            except FileNotFoundError:
                found = []
        yield from (str(path).rpartition("/")[2] for path in found)

    def _put(self, name: str, data: bytes) -> None:
        path = f"{self._path}/{name}"
        with refusing(self.root):
            if self._whole_puts:
                self._system.pipe_file(path, data)
                return
            temporary = f"{self._path}/.{name}.{uuid.uuid4().hex}.tmp"
            self._system.makedirs(self._path, exist_ok=True)
            self._system.pipe_file(temporary, data)
            self._system.mv(temporary, path)


def open_shelf(address: str) -> Shelf:
    """The shelf in a folder, or at an address of fsspec such as `s3://bucket/folder`.

    BlobNotStored or UnusableArtifactAddress.
    """
    parts = urlsplit(address)
    if "://" not in address:
        return LocalShelf(Path(address).absolute() / FOLDER)
    if parts.scheme in ("file", "local"):
        return LocalShelf(Path(url2pathname(parts.path)).absolute() / FOLDER)
    return RemoteShelf(*open_files(address))
