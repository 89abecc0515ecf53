"""Stores of every kind with direct access to their files, to imitate failures of disk or server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from fsspec.implementations.memory import MemoryFileSystem

from registry.blobs.local import LocalBlobs
from registry.blobs.remote import RemoteBlobs
from registry.blobs.store import BlobStore
from registry.database.clock import utc_now


class Server(MemoryFileSystem):
    """A file server: an upload may be partial, folders must exist, and a rename never replaces a file."""

    protocol = "server"
    store: dict = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
        if not self.isdir(self._parent(path)):
            raise FileNotFoundError(path)
        assert "/tmp/" in path, "a killed upload would leave half a file under the digest"
        super().pipe_file(path, value, mode)

    def mv(self, path1: str, path2: str, **_: object) -> None:
        if self.exists(path2):
            raise FileExistsError(path2)
        self.store[path2] = self.store.pop(path1)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("server://"))


@dataclass(frozen=True)
class StoreFiles:
    """A store, and access to its files by their paths below its root."""

    store: BlobStore
    write: Callable[[str, bytes], None]
    remove: Callable[[str], None]
    names: Callable[[], list[str]]
    make_older: Callable[[str, timedelta], None]

    def name(self, sha256: str) -> str:
        return f"blobs/sha256/{sha256[:2]}/{sha256}"


def local_store(root: Path) -> StoreFiles:
    import os

    store = LocalBlobs(root)

    def write(name: str, data: bytes) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)

    def make_older(name: str, age: timedelta) -> None:
        then = (utc_now() - age).timestamp()
        os.utime(root / name, (then, then))

    return StoreFiles(
        store,
        write,
        lambda name: (root / name).unlink(),
        lambda: sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()),
        make_older,
    )


def remote_store(files: MemoryFileSystem) -> StoreFiles:
    root = f"/{uuid4().hex}"

    def write(name: str, data: bytes) -> None:
        MemoryFileSystem.pipe_file(files, f"{root}/{name}", data)

    def make_older(name: str, age: timedelta) -> None:
        files.store[f"{root}/{name}"].modified = utc_now() - age

    return StoreFiles(
        RemoteBlobs(files, root),
        write,
        lambda name: files.rm_file(f"{root}/{name}"),
        lambda: sorted(p.removeprefix(f"{root}/") for p in files.find(root)),
        make_older,
    )


STORES: Mapping[str, Callable[[Path], StoreFiles]] = {
    "local": lambda folder: local_store(folder / "artifacts"),
    "bucket": lambda _folder: remote_store(MemoryFileSystem()),
    "server": lambda _folder: remote_store(Server()),
}
