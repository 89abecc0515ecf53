"""Content-addressed files, wherever they are."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import BlobDamaged, BlobMissing, InvalidValue, StoredFile
from registry.database.clock import utc_now
from tests.registry.backup.shelves import SHELVES, Shelf

DATA = os.urandom(300)


@pytest.fixture(params=SHELVES)
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return SHELVES[request.param](tmp_path)


def test_bytes_come_back_from_under_their_digest(shelf: Shelf) -> None:
    blob = shelf.store.put_bytes(b"hello")
    assert (blob.sha256, blob.size) == (hashlib.sha256(b"hello").hexdigest(), 5)
    assert shelf.names() == [shelf.name(blob.sha256)]
    assert shelf.store.read(blob.sha256) == b"hello"
    assert shelf.store.has(blob.sha256)


def test_a_file_is_stored_like_its_bytes(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    assert shelf.store.put_file(tmp_path / "source") == shelf.store.put_bytes(DATA)


def test_the_same_bytes_are_kept_once_and_no_temporary_file_stays(shelf: Shelf) -> None:
    shelf.store.put_bytes(b"hello")
    shelf.store.put_bytes(b"hello")
    assert len(shelf.names()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(bit=st.integers(0, len(DATA) * 8 - 1))
def test_a_flipped_bit_anywhere_is_refused_with_the_file_named(shelf: Shelf, bit: int) -> None:
    blob = shelf.store.put_bytes(DATA)
    damaged = bytearray(DATA)
    damaged[bit // 8] ^= 1 << bit % 8
    shelf.write(shelf.name(blob.sha256), bytes(damaged))
    with pytest.raises(BlobDamaged) as raised:
        shelf.store.read(blob.sha256)
    assert raised.value.where == shelf.store.where(blob.sha256)
    assert raised.value.where.endswith(blob.sha256)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(length=st.integers(0, len(DATA) - 1), tail=st.binary(max_size=3))
def test_a_file_cut_short_or_grown_is_refused(shelf: Shelf, length: int, tail: bytes) -> None:
    blob = shelf.store.put_bytes(DATA)
    for content in (DATA[:length] + tail, DATA + b"+" + tail):
        if content != DATA:
            shelf.write(shelf.name(blob.sha256), content)
            with pytest.raises(BlobDamaged):
                shelf.store.read(blob.sha256)


def test_storing_the_bytes_again_mends_a_damaged_file(shelf: Shelf) -> None:
    blob = shelf.store.put_bytes(b"hello")
    shelf.write(shelf.name(blob.sha256), b"damage")
    shelf.store.put_bytes(b"hello")
    assert shelf.store.read(blob.sha256) == b"hello"
    assert len(shelf.names()) == 1


def test_storing_the_bytes_again_brings_a_missing_file_back(shelf: Shelf) -> None:
    blob = shelf.store.put_bytes(b"hello")
    shelf.remove(shelf.name(blob.sha256))
    assert not shelf.store.has(blob.sha256)
    shelf.store.put_bytes(b"hello")
    assert shelf.store.read(blob.sha256) == b"hello"


def test_a_missing_file_is_reported_with_its_place(shelf: Shelf) -> None:
    digest = "0" * 64
    assert not shelf.store.has(digest)
    with pytest.raises(BlobMissing) as raised:
        shelf.store.read(digest)
    assert raised.value.where == shelf.store.where(digest)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", ""])
def test_only_a_digest_becomes_a_name(shelf: Shelf, digest: str) -> None:
    for use in (shelf.store.read, shelf.store.has, shelf.store.where):
        with pytest.raises(InvalidValue, match="SHA-256"):
            use(digest)


def test_a_store_lists_what_it_owns_and_nothing_else(shelf: Shelf) -> None:
    blob = shelf.store.put_bytes(b"hello")
    abandoned = f"tmp/{'1' * 32}"
    shelf.write(abandoned, b"half")
    for name in ("notes.txt", "tmp/notes.txt", "blobs/sha256/aa/notes.txt", f"blobs/sha256/aa/{'b' * 64}"):
        shelf.write(name, b"somebody's work")
    found = sorted(shelf.store.list(), key=lambda file: file.size)
    assert found == [StoredFile(abandoned, 4), StoredFile(shelf.name(blob.sha256), 5)]
    assert [file.sha256 for file in found] == [None, blob.sha256]


def test_a_deleted_file_is_gone_and_deleting_it_again_changes_nothing(shelf: Shelf) -> None:
    kept, gone = shelf.store.put_bytes(b"kept"), shelf.store.put_bytes(b"gone")
    (file,) = [file for file in shelf.store.list() if file.sha256 == gone.sha256]
    for _ in range(2):
        shelf.store.delete(file)
        assert shelf.names() == [shelf.name(kept.sha256)]


@pytest.mark.parametrize(
    "name", ["", "blobs", "blobs/sha256/aa", "notes.txt", f"blobs/sha256/aa/../{'a' * 64}"]
)
def test_nothing_but_a_file_of_its_own_can_be_deleted(shelf: Shelf, name: str) -> None:
    with pytest.raises(InvalidValue, match="not the name of a stored file"):
        shelf.store.delete(StoredFile(name, 0))


def test_a_store_tells_when_a_file_was_written(shelf: Shelf) -> None:
    blob = shelf.store.put_bytes(b"hello")
    (file,) = shelf.store.list()
    modified = shelf.store.modified(file)
    assert modified is not None
    assert abs(utc_now() - modified) < timedelta(minutes=1)
    shelf.make_older(shelf.name(blob.sha256), timedelta(hours=5))
    older = shelf.store.modified(file)
    assert older is not None
    assert utc_now() - older > timedelta(hours=4)
    shelf.store.delete(file)
    assert shelf.store.modified(file) is None
