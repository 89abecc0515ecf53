"""The interface of artifact stores, which keep each file once, under the SHA-256 of its bytes."""

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
    """A file that a store owns: a blob under its digest, or the rest of an interrupted upload.

    Attributes:
        name: the path below the root of the store.
        size: bytes.
    """

    name: str
    size: int

    @property
    def sha256(self) -> str | None:
        """The digest of a blob; None for a temporary file."""
        found = _OWN.fullmatch(self.name)
        return found.group(2) if found is not None else None


class BlobStore(ABC):
    """Files `blobs/sha256/ab/<digest>`, and temporary ones in `tmp/`, below a root.

    A file appears under its digest complete, or not at all. If a process is killed during an upload, only a
    temporary file is left.
    """

    @property
    @abstractmethod
    def root(self) -> str:
        """The location of the store, for messages."""

    @property
    def folder(self) -> Path | None:
        """The local folder of the store; None if it is not on this machine."""
        return None

    @abstractmethod
    def put_bytes(self, data: bytes) -> BlobInfo:
        """Store `data`. Storing the same bytes again replaces a damaged or missing copy.

        Raises:
            BlobNotStored: if the store refuses the file.
            BlobStoreFull: if it refuses because the disk is full.
        """

    @abstractmethod
    def put_file(self, source: Path) -> BlobInfo:
        """Store a copy of the file `source`; see `put_bytes`."""

    @abstractmethod
    def has(self, sha256: str) -> bool:
        """Return whether a file of this digest is stored, without reading its bytes."""

    def read(self, sha256: str, *, fresh: bool = False) -> bytes:
        """Return the verified bytes of a file.

        Args:
            sha256: the digest of the file.
            fresh: whether to read from the store itself even if there is a local copy.

        Raises:
            BlobMissing: if there is no such file.
            BlobDamaged: if its bytes have another digest.
        """
        return self.fetch(sha256)

    def fetch(self, sha256: str) -> bytes:
        """Return the verified bytes of a file from the store itself, of which no local copy is kept.

        Raises:
            BlobMissing, BlobDamaged: as for `read`.
        """
        data = self._bytes(sha256)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise BlobDamaged(self.where(sha256), found)
        return data

    def where(self, sha256: str) -> str:
        """Return the location of the file of this digest, stored or not, for messages."""
        return f"{self.root}/{blob_name(sha256)}"

    @abstractmethod
    def list(self) -> Iterator[StoredFile]:
        """Yield every file that the store owns. Other files below its root are ignored."""

    @abstractmethod
    def modified(self, file: StoredFile) -> datetime | None:
        """Return when the file was last written; None if it does not exist or the store cannot tell."""

    @abstractmethod
    def delete(self, file: StoredFile) -> None:
        """Remove this file, if it still exists."""

    def keep_copies(self, digests: Collection[str]) -> None:  # noqa: B027 - most stores keep no copies
        """Remove all local copies except those of these digests. A local store has none."""

    @abstractmethod
    def _bytes(self, sha256: str) -> bytes:
        """Return the unverified bytes of a file.

        Raises:
            BlobMissing: if there is no such file.
        """


def blob_name(sha256: str) -> str:
    """Return the path of a blob below the root of a store.

    Raises:
        InvalidValue: if `sha256` is not a digest.
    """
    if re.fullmatch("[0-9a-f]{64}", sha256) is None:
        raise InvalidValue("a blob", f"{sha256!r} is not a digest. Give a SHA-256 in lowercase hex")
    return f"{BLOBS}/{sha256[:2]}/{sha256}"


def is_own(name: str) -> bool:
    """Return whether a path below the root is one that a store uses."""
    return _OWN.fullmatch(name) is not None


def own_name(file: StoredFile) -> str:
    """Return the path of the file, if it is one that a store uses, so that nothing else is ever deleted.

    Raises:
        InvalidValue: if it is not.
    """
    if not is_own(file.name):
        raise InvalidValue("a file", f"{file.name!r} is not the name of a stored file. Use one from `list`")
    return file.name
