"""Files by content: each is stored once, under the SHA-256 of its bytes, and never changed."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from registry.blobs.errors import BlobDamaged
from registry.errors import InvalidValue
from registry.records import BlobInfo

BLOBS = "blobs/sha256"
TEMPORARY = "tmp"
_OWN = re.compile(r"blobs/sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})|tmp/[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a store owns: a blob under its digest, or what an interrupted upload left."""

    name: str
    """Below the root of the store."""
    size: int

    @property
    def sha256(self) -> str | None:
        """The digest that a blob is stored under; None for a temporary file."""
        found = _OWN.fullmatch(self.name)
        return found.group(2) if found is not None else None


class BlobStore(ABC):
    """`blobs/sha256/ab/<digest>` files, and temporary ones in `tmp/`, below one root.

    A file appears under its digest complete, or not at all. Killed on the way, only a temporary file stays.
    """

    @property
    @abstractmethod
    def root(self) -> str:
        """Where the store is, for people."""

    @property
    def folder(self) -> Path | None:
        """The local folder that the store is in; None when it is elsewhere."""
        return None

    @abstractmethod
    def put_bytes(self, data: bytes) -> BlobInfo:
        """Store `data`; the same bytes again replace a damaged or missing copy.

        BlobNotStored when the store refuses, BlobStoreFull when that is for want of space.
        """

    @abstractmethod
    def put_file(self, source: Path) -> BlobInfo:
        """Store a copy of the file `source`."""

    @abstractmethod
    def has(self, sha256: str) -> bool:
        """Whether a file of this digest is there; its bytes aren't read."""

    def read(self, sha256: str, *, fresh: bool = False) -> bytes:
        """The verified bytes; BlobMissing or BlobDamaged, naming the file.

        With `fresh` they come from the store itself, even where a copy is at hand.
        """
        data = self._bytes(sha256)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise BlobDamaged(self.where(sha256), found)
        return data

    def where(self, sha256: str) -> str:
        """Where the file of this digest is or would be, for people."""
        return f"{self.root}/{blob_name(sha256)}"

    @abstractmethod
    def list(self) -> Iterator[StoredFile]:
        """Every file that the store owns; anything else below its root is passed over."""

    @abstractmethod
    def modified(self, file: StoredFile) -> datetime | None:
        """When the file was last written; None when it is gone or the store can't tell."""

    @abstractmethod
    def delete(self, file: StoredFile) -> None:
        """Remove this one file, which may be gone already."""

    def keep_copies(self, digests: Collection[str]) -> None:  # noqa: B027 - most stores keep no copies
        """Let go of copies that this machine keeps of other files than these; a local store has none."""

    @abstractmethod
    def _bytes(self, sha256: str) -> bytes:
        """What is stored under the digest, unverified; BlobMissing."""


def blob_name(sha256: str) -> str:
    """The name below the root of a store; InvalidValue for anything but a digest."""
    if re.fullmatch("[0-9a-f]{64}", sha256) is None:
        raise InvalidValue("a blob", f"{sha256!r} is not a SHA-256 in lower-case hex")
    return f"{BLOBS}/{sha256[:2]}/{sha256}"


def is_own(name: str) -> bool:
    """Whether a name below the root is one that a store gives."""
    return _OWN.fullmatch(name) is not None


def own_name(file: StoredFile) -> str:
    """The file's name; InvalidValue for one that no store gives, so that nothing else is ever deleted."""
    if not is_own(file.name):
        raise InvalidValue("a file", f"{file.name!r} is not the name of a stored file")
    return file.name
