"""The cache of blobs from a remote store."""

import hashlib
import logging
import os
from pathlib import Path

import pytest

from registry.blobs.cache import ABANDONED_SECONDS, BlobCache


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def add(cache: BlobCache, data: bytes, *, read_at: float, folder: Path) -> None:
    cache.add(digest(data), data)
    os.utime(folder / digest(data), (read_at, read_at))


def kept(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.iterdir()}


def test_the_least_recently_read_copies_are_evicted(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, limit=10)
    add(cache, b"aaaa", read_at=1, folder=tmp_path)
    add(cache, b"bbbb", read_at=2, folder=tmp_path)
    assert cache.get(digest(b"aaaa")) == b"aaaa"
    cache.add(digest(b"cccc"), b"cccc")
    assert kept(tmp_path) == {b"aaaa", b"cccc"}


def test_a_file_larger_than_the_cache_evicts_nothing(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, limit=10)
    cache.add(digest(b"aaaa"), b"aaaa")
    cache.add(digest(b"x" * 11), b"x" * 11)
    assert kept(tmp_path) == {b"aaaa"}


def test_a_file_that_a_killed_process_was_writing_is_removed_after_an_hour(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, limit=100)
    old, young = tmp_path / "1.tmp", tmp_path / "2.tmp"
    for file in (old, young):
        file.write_bytes(b"half")
    then = old.stat().st_mtime - ABANDONED_SECONDS - 1
    os.utime(old, (then, then))
    cache.add(digest(b"aaaa"), b"aaaa")
    assert not old.exists()
    assert young.exists()


def test_a_cache_that_cannot_be_written_is_logged_and_otherwise_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cache = BlobCache(tmp_path / "file" / "cache")
    with caplog.at_level(logging.WARNING):
        cache.add(digest(b"aaaa"), b"aaaa")
        assert cache.get(digest(b"aaaa")) is None
    assert "No copy is kept" in caplog.text
