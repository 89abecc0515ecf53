"""Content-addressed files."""

import hashlib
import os
from pathlib import Path

import pytest

from registry import BlobDamaged, BlobMissing, BlobNotStored, InvalidValue
from registry.blobs import CHUNK_BYTES, BlobStore


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_bytes_come_back_from_under_their_digest(store: BlobStore, tmp_path: Path) -> None:
    blob = store.put_bytes(b"hello")
    assert blob.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert blob.size == 5
    assert store.path(blob.sha256) == tmp_path / "blobs" / "sha256" / blob.sha256[:2] / blob.sha256
    assert store.read(blob.sha256) == b"hello"
    assert store.has(blob.sha256)


def test_the_same_bytes_are_kept_once_and_no_temporary_file_stays(store: BlobStore, tmp_path: Path) -> None:
    store.put_bytes(b"hello")
    store.put_bytes(b"hello")
    assert len(files_below(tmp_path)) == 1


def test_a_file_larger_than_one_piece_is_stored_like_its_bytes(store: BlobStore, tmp_path: Path) -> None:
    data = os.urandom(CHUNK_BYTES + 17)
    source = tmp_path / "source"
    source.write_bytes(data)
    assert store.put_file(source) == store.put_bytes(data)


def test_one_flipped_bit_is_reported_with_the_file(store: BlobStore) -> None:
    blob = store.put_bytes(b"hello")
    path = store.path(blob.sha256)
    path.write_bytes(b"iello")
    with pytest.raises(BlobDamaged, match=str(path)):
        store.read(blob.sha256)


def test_storing_the_bytes_again_mends_a_damaged_file(store: BlobStore) -> None:
    blob = store.put_bytes(b"hello")
    store.path(blob.sha256).write_bytes(b"damage")
    store.put_bytes(b"hello")
    assert store.read(blob.sha256) == b"hello"


def test_a_missing_file_is_reported_with_its_path(store: BlobStore) -> None:
    digest = "0" * 64
    assert not store.has(digest)
    with pytest.raises(BlobMissing, match=str(store.path(digest))):
        store.read(digest)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", ""])
def test_only_a_digest_becomes_a_path(store: BlobStore, digest: str) -> None:
    with pytest.raises(InvalidValue, match="SHA-256"):
        store.path(digest)


def test_a_full_disk_is_reported_and_leaves_nothing(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BlobNotStored, match="No space left on device"):
        store.put_bytes(b"hello")
    assert files_below(tmp_path) == []


def test_file_and_folders_are_synced_before_and_after_the_rename(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").resolve().parent.name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.put_bytes(b"hello")
    assert synced == ["tmp", "blobs", "sha256"]


def test_an_artifact_folder_that_can_not_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BlobNotStored, match="No file can be stored"):
        BlobStore(tmp_path / "file")
