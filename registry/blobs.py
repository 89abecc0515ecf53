"""Files by content: each is stored once, under the SHA-256 of its bytes, and never changed."""

import hashlib
import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

from registry.errors import BlobDamaged, BlobMissing, BlobNotStored, InvalidValue
from registry.records import BlobInfo

CHUNK_BYTES = 1 << 20


class BlobStore:
    """A local folder of `blobs/sha256/ab/<digest>` files.

    A file appears under its digest complete and safely on disk, or not at all.
    Killed on the way, only a file in `tmp` stays.
    """

    def __init__(self, root: Path) -> None:
        self._tmp = root / "tmp"
        self._blobs = root / "blobs" / "sha256"
        try:
            self._tmp.mkdir(parents=True, exist_ok=True)
            self._blobs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BlobNotStored(root, error.strerror or str(error)) from error

    def put_bytes(self, data: bytes) -> BlobInfo:
        """Store `data`; the same bytes again replace a damaged copy. BlobNotStored when the disk refuses."""
        return self._put([data])

    def put_file(self, source: Path) -> BlobInfo:
        """Store a copy of the file `source`, read in pieces."""
        with source.open("rb") as file:
            return self._put(iter(lambda: file.read(CHUNK_BYTES), b""))

    def has(self, sha256: str) -> bool:
        """Whether a file of this digest is there; its bytes aren't read."""
        return self.path(sha256).is_file()

    def path(self, sha256: str) -> Path:
        """Where the file of this digest lies or would lie; whoever opens it there must verify it."""
        if re.fullmatch("[0-9a-f]{64}", sha256) is None:
            raise InvalidValue("a blob", f"{sha256!r} is not a SHA-256 in lower-case hex")
        return self._blobs / sha256[:2] / sha256

    def read(self, sha256: str) -> bytes:
        """The verified bytes; BlobMissing or BlobDamaged, naming the file."""
        path = self.path(sha256)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BlobMissing(path, error.strerror or str(error)) from error
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise BlobDamaged(path, found)
        return data

    def _put(self, chunks: Iterable[bytes]) -> BlobInfo:
        # a name of its own per writer: two processes may store the same bytes at once
        temporary = self._tmp / uuid.uuid4().hex
        try:
            blob = _write(temporary, chunks)
            target = self.path(blob.sha256)
            if not target.parent.is_dir():
                target.parent.mkdir(exist_ok=True)
                _sync_folder(self._blobs)
            temporary.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise BlobNotStored(self._blobs, error.strerror or str(error)) from error
        finally:
            temporary.unlink(missing_ok=True)
        return blob


def _write(path: Path, chunks: Iterable[bytes]) -> BlobInfo:
    digest = hashlib.sha256()
    size = 0
    with path.open("xb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return BlobInfo(digest.hexdigest(), size)


def _sync_folder(folder: Path) -> None:
    # without this the new name may be gone after a power cut; Windows can't open folders
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
