"""Blobs in file systems of fsspec."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations

from registry import (
    BlobMissing,
    BlobNotStored,
    BlobStoreUnreachable,
    StoredFile,
    UnusableArtifactAddress,
)
from registry.blobs.cache import BlobCache
from registry.blobs.remote import RemoteBlobs, open_remote
from tests.registry.blobs.stores import Server, remote_store


class Unwell(MemoryFileSystem):
    """A bucket that can fail with errors of its own classes, as the packages of protocols do."""

    class Refused(Exception):
        pass

    ill = False

    def _try(self) -> None:
        if self.ill:
            raise self.Refused("no credentials.\nSet some.")

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
        self._try()
        super().pipe_file(path, value, mode)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
        self._try()
        return super().cat_file(path, start, end)

    def find(self, path: str, *given: object, **named: object) -> object:
        self._try()
        return super().find(path, *given, **named)


@pytest.fixture
def root() -> str:
    return f"/{uuid4().hex}"


def test_the_location_of_a_store_includes_its_protocol() -> None:
    store = open_remote("memory://team/adapters")
    assert store.root == "memory:///team/adapters"
    assert store.folder is None


def test_an_error_of_a_bucket_is_reported(root: str) -> None:
    files = Unwell(skip_instance_cache=True)
    store = RemoteBlobs(files, root)
    blob = store.put_bytes(b"hello")
    files.ill = True
    with pytest.raises(BlobNotStored, match=r"\(no credentials\. Set some\)"):
        store.put_bytes(b"hello")
    with pytest.raises(BlobStoreUnreachable, match=r"does not answer \(no credentials"):
        store.read(blob.sha256)
    with pytest.raises(BlobStoreUnreachable):
        list(store.list())
    files.ill = False
    assert store.read(blob.sha256) == b"hello"


def test_a_file_that_arrives_changed_is_refused(root: str) -> None:
    class Garbling(MemoryFileSystem):
        def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
            super().pipe_file(path, value[:-1], mode)

    with pytest.raises(BlobNotStored, match="the stored bytes differ from the bytes sent"):
        RemoteBlobs(Garbling(), root).put_bytes(b"hello")


def test_a_partial_upload_leaves_no_file_on_a_server() -> None:
    class Cutting(Server):
        def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
            super().pipe_file(path, value[:2], mode)
            raise OSError("connection lost")

    backend = remote_store(Cutting())
    with pytest.raises(BlobNotStored, match="connection lost"):
        backend.store.put_bytes(b"hello")
    assert backend.names() == []


def test_two_writers_of_the_same_bytes_on_a_server_both_succeed() -> None:
    class Racing(Server):
        def mv(self, path1: str, path2: str, **_: object) -> None:
            backend.write(path2.removeprefix(f"{store._path}/"), b"hello")
            super().mv(path1, path2)

    backend = remote_store(Racing())
    store = backend.store
    assert isinstance(store, RemoteBlobs)
    blob = store.put_bytes(b"hello")
    assert backend.names() == [backend.name(blob.sha256)]


def test_a_server_that_cannot_tell_ages_returns_none(root: str) -> None:
    class Timeless(MemoryFileSystem):
        def modified(self, path: str) -> object:
            raise NotImplementedError

    store = RemoteBlobs(Timeless(), root)
    store.put_bytes(b"hello")
    (file,) = store.list()
    assert store.modified(file) is None


def test_a_second_read_uses_the_cache_unless_it_is_fresh(root: str, tmp_path: Path) -> None:
    store = RemoteBlobs(MemoryFileSystem(), root, BlobCache(tmp_path / "cache"))
    blob = store.put_bytes(b"hello")
    assert store.read(blob.sha256) == b"hello"
    store.delete(StoredFile(f"blobs/sha256/{blob.sha256[:2]}/{blob.sha256}", 5))
    assert store.read(blob.sha256) == b"hello"
    with pytest.raises(BlobMissing, match="there is no such file"):
        store.read(blob.sha256, fresh=True)


def test_a_damaged_copy_in_the_cache_is_fetched_again(root: str, tmp_path: Path) -> None:
    store = RemoteBlobs(MemoryFileSystem(), root, BlobCache(tmp_path))
    blob = store.put_bytes(b"hello")
    store.read(blob.sha256)
    (tmp_path / blob.sha256).write_bytes(b"iello")
    assert store.read(blob.sha256) == b"hello"
    assert (tmp_path / blob.sha256).read_bytes() == b"hello"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense://bucket", "Protocol not known"),
        ("abfs-of-nobody://x", "Protocol not known"),
        ("simplecache::memory://x", "nested file systems"),
    ],
)
def test_an_unusable_address_is_reported(address: str, reason: str) -> None:
    with pytest.raises(UnusableArtifactAddress, match=reason) as raised:
        open_remote(address)
    assert address in str(raised.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"class": "no_such_package.Files", "err": "Install nosuchfs to access S3"}
    monkeypatch.setitem(known_implementations, "nosuch", known)
    with pytest.raises(UnusableArtifactAddress, match="Install nosuchfs to access S3"):
        open_remote("nosuch://bucket/folder")


def test_a_password_in_the_address_is_not_shown() -> None:
    with pytest.raises(UnusableArtifactAddress) as raised:
        open_remote("nonsense://ada:secret@host/folder")
    assert "nonsense://host/folder" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_request_to_s3_fails_soon_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def opened(_address: str, **options: Any) -> tuple[MemoryFileSystem, str]:
        given.update(options)
        return MemoryFileSystem(), "team"

    monkeypatch.setattr("fsspec.core.url_to_fs", opened)
    open_remote("s3://team")
    assert given["config_kwargs"]["connect_timeout"] <= 5
    retries = given["config_kwargs"]["retries"]
    assert retries == {"max_attempts": 2}
    retries["mode"] = "changed by the store"
    open_remote("s3://team")
    assert given["config_kwargs"]["retries"] == {"max_attempts": 2}
