"""Blobs in a folder: synced to disk, and errors of the disk."""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from registry import BlobMissing, BlobNotStored, BlobStoreFull, StoredFile
from registry.blobs.local import CHUNK_BYTES, LocalBlobs


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "artifacts")


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_blob_is_in_the_folder_of_its_first_two_digits(store: LocalBlobs, tmp_path: Path) -> None:
    blob = store.put_bytes(b"hello")
    path = tmp_path / "artifacts" / "blobs" / "sha256" / blob.sha256[:2] / blob.sha256
    assert (store.path(blob.sha256), store.where(blob.sha256)) == (path, str(path))
    assert files_below(tmp_path) == [path]


def test_a_file_larger_than_a_chunk_is_stored_like_its_bytes(store: LocalBlobs, tmp_path: Path) -> None:
    data = os.urandom(CHUNK_BYTES + 17)
    source = tmp_path / "source"
    source.write_bytes(data)
    assert store.put_file(source) == store.put_bytes(data)


def test_file_and_folders_are_synced_before_and_after_the_rename(
    store: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").resolve().parent.name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.put_bytes(b"hello")
    assert synced == ["tmp", "blobs", "sha256"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_reports_needed_and_free_space_and_leaves_no_file(
    store: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    def usage(_folder: Path) -> SimpleNamespace:
        assert files_below(tmp_path) == [], "measured before the half-written file was removed"
        return SimpleNamespace(free=300_000)

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(BlobStoreFull, match=r"is full: 2\.0 MB are needed and 0\.3 MB are free"):
        store.put_bytes(bytes(2_000_000))
    assert files_below(tmp_path) == []


def test_another_error_of_the_disk_is_reported_with_its_reason(
    store: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(BlobNotStored, match="Input/output error"):
        store.put_bytes(b"hello")
    assert files_below(tmp_path) == []


def test_a_file_that_cannot_be_read_is_reported_with_the_reason(store: LocalBlobs) -> None:
    digest = "0" * 64
    store.path(digest).mkdir(parents=True)
    with pytest.raises(BlobMissing, match="directory"):
        store.read(digest)


def test_an_artifact_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BlobNotStored, match="No file can be stored"):
        LocalBlobs(tmp_path / "file")


def test_folders_and_links_with_the_name_of_a_blob_are_ignored(store: LocalBlobs, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("somebody's work")
    folder, link = store.path("a" * 64), store.path("b" * 64)
    folder.mkdir(parents=True)
    link.parent.mkdir()
    link.symlink_to(elsewhere)
    assert list(store.list()) == []
    assert not store.has("a" * 64)


def test_a_folder_is_never_deleted(store: LocalBlobs) -> None:
    folder = store.path("a" * 64)
    folder.mkdir(parents=True)
    with pytest.raises(Exception, match="directory|permitted"):
        store.delete(StoredFile(f"blobs/sha256/aa/{'a' * 64}", 0))
    assert folder.is_dir()
