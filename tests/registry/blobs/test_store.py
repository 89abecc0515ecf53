"""Content-addressed files in every kind of store."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import BlobDamaged, BlobMissing, InvalidValue, StoredFile
from registry.database.clock import utc_now
from tests.registry.blobs.stores import STORES, StoreFiles

DATA = os.urandom(300)


@pytest.fixture(params=STORES)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFiles:
    return STORES[request.param](tmp_path)


def test_stored_bytes_are_read_by_their_digest(backend: StoreFiles) -> None:
    blob = backend.store.put_bytes(b"hello")
    assert (blob.sha256, blob.size) == (hashlib.sha256(b"hello").hexdigest(), 5)
    assert backend.names() == [backend.name(blob.sha256)]
    assert backend.store.read(blob.sha256) == b"hello"
    assert backend.store.has(blob.sha256)


def test_a_file_is_stored_like_its_bytes(backend: StoreFiles, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    assert backend.store.put_file(tmp_path / "source") == backend.store.put_bytes(DATA)


def test_the_same_bytes_are_stored_once_without_a_temporary_file(backend: StoreFiles) -> None:
    backend.store.put_bytes(b"hello")
    backend.store.put_bytes(b"hello")
    assert len(backend.names()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(bit=st.integers(0, len(DATA) * 8 - 1))
def test_a_flipped_bit_is_detected_and_the_file_named(backend: StoreFiles, bit: int) -> None:
    blob = backend.store.put_bytes(DATA)
    damaged = bytearray(DATA)
    damaged[bit // 8] ^= 1 << bit % 8
    backend.write(backend.name(blob.sha256), bytes(damaged))
    with pytest.raises(BlobDamaged) as raised:
        backend.store.read(blob.sha256)
    assert raised.value.where == backend.store.where(blob.sha256)
    assert raised.value.where.endswith(blob.sha256)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(length=st.integers(0, len(DATA) - 1), tail=st.binary(max_size=3))
def test_a_truncated_or_extended_file_is_refused(backend: StoreFiles, length: int, tail: bytes) -> None:
    blob = backend.store.put_bytes(DATA)
    for content in (DATA[:length] + tail, DATA + b"+" + tail):
        if content != DATA:
            backend.write(backend.name(blob.sha256), content)
            with pytest.raises(BlobDamaged):
                backend.store.read(blob.sha256)


def test_storing_the_bytes_again_repairs_a_damaged_file(backend: StoreFiles) -> None:
    blob = backend.store.put_bytes(b"hello")
    backend.write(backend.name(blob.sha256), b"damage")
    backend.store.put_bytes(b"hello")
    assert backend.store.read(blob.sha256) == b"hello"
    assert len(backend.names()) == 1


def test_storing_the_bytes_again_restores_a_missing_file(backend: StoreFiles) -> None:
    blob = backend.store.put_bytes(b"hello")
    backend.remove(backend.name(blob.sha256))
    assert not backend.store.has(blob.sha256)
    backend.store.put_bytes(b"hello")
    assert backend.store.read(blob.sha256) == b"hello"


def test_a_missing_file_is_reported_with_its_location(backend: StoreFiles) -> None:
    digest = "0" * 64
    assert not backend.store.has(digest)
    with pytest.raises(BlobMissing) as raised:
        backend.store.read(digest)
    assert raised.value.where == backend.store.where(digest)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", ""])
def test_only_a_digest_is_accepted_as_a_name(backend: StoreFiles, digest: str) -> None:
    for use in (backend.store.read, backend.store.has, backend.store.where):
        with pytest.raises(InvalidValue, match="SHA-256"):
            use(digest)


def test_a_store_lists_only_its_own_files(backend: StoreFiles) -> None:
    blob = backend.store.put_bytes(b"hello")
    abandoned = f"tmp/{'1' * 32}"
    backend.write(abandoned, b"half")
    for name in ("notes.txt", "tmp/notes.txt", "blobs/sha256/aa/notes.txt", f"blobs/sha256/aa/{'b' * 64}"):
        backend.write(name, b"somebody's work")
    found = sorted(backend.store.list(), key=lambda file: file.size)
    assert found == [StoredFile(abandoned, 4), StoredFile(backend.name(blob.sha256), 5)]
    assert [file.sha256 for file in found] == [None, blob.sha256]


def test_deleting_a_file_twice_removes_only_that_file(backend: StoreFiles) -> None:
    kept, gone = backend.store.put_bytes(b"kept"), backend.store.put_bytes(b"gone")
    (file,) = [file for file in backend.store.list() if file.sha256 == gone.sha256]
    for _ in range(2):
        backend.store.delete(file)
        assert backend.names() == [backend.name(kept.sha256)]


@pytest.mark.parametrize(
    "name", ["", "blobs", "blobs/sha256/aa", "notes.txt", f"blobs/sha256/aa/../{'a' * 64}"]
)
def test_a_store_deletes_only_its_own_files(backend: StoreFiles, name: str) -> None:
    with pytest.raises(InvalidValue, match="not the name of a stored file"):
        backend.store.delete(StoredFile(name, 0))


def test_a_store_reports_when_a_file_was_written(backend: StoreFiles) -> None:
    blob = backend.store.put_bytes(b"hello")
    (file,) = backend.store.list()
    modified = backend.store.modified(file)
    assert modified is not None
    assert abs(utc_now() - modified) < timedelta(minutes=1)
    backend.make_older(backend.name(blob.sha256), timedelta(hours=5))
    older = backend.store.modified(file)
    assert older is not None
    assert utc_now() - older > timedelta(hours=4)
    backend.store.delete(file)
    assert backend.store.modified(file) is None
