"""The order of a publication: files are stored, read back, inspected, and only then listed."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from registry import BlobDamaged, BlobMissing, NewVersion, Registry, UnknownAdapter
from registry.blobs.local import LocalBlobs

NewVersionMaker = Callable[..., NewVersion]


def stored(registry: Registry, name: str, version: NewVersion) -> Path:
    """Return the path in the store of a file of a published version."""
    (sha256,) = [file.sha256 for file in registry.catalog.resolve(version.slug).files if file.path == name]
    return Path(registry.blobs.where(sha256))


def test_the_files_are_inspected_as_the_store_returns_them_before_anything_is_listed(
    registry: Registry, new_version: NewVersionMaker
) -> None:
    seen: list[Mapping[str, bytes]] = []

    def inspect(files: Mapping[str, bytes]) -> None:
        seen.append(files)
        assert registry.catalog.adapters() == []

    new = new_version()
    registry.catalog.publish(new, actor="ada", inspect=inspect)
    assert seen == [new.files]


def test_a_version_that_fails_the_inspection_is_not_listed(
    registry: Registry, new_version: NewVersionMaker
) -> None:
    def inspect(_files: Mapping[str, bytes]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        registry.catalog.publish(new_version(), actor="ada", inspect=inspect)
    with pytest.raises(UnknownAdapter):
        registry.catalog.versions("pets")
    assert registry.revision() == 0


@pytest.mark.parametrize("fault", ["damaged", "missing"])
def test_a_store_that_returns_other_bytes_stops_the_publication(
    registry: Registry, new_version: NewVersionMaker, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    put = LocalBlobs.put_bytes

    def put_badly(store: LocalBlobs, data: bytes) -> object:
        blob = put(store, data)
        path = store.path(blob.sha256)
        path.write_bytes(b"?") if fault == "damaged" else path.unlink()
        return blob

    monkeypatch.setattr(LocalBlobs, "put_bytes", put_badly)
    with pytest.raises(BlobDamaged if fault == "damaged" else BlobMissing):
        registry.catalog.publish(new_version(), actor="ada")
    assert registry.catalog.adapters() == []


@pytest.mark.parametrize("fault", ["damaged", "missing"])
def test_publishing_the_same_files_again_repairs_them_and_adds_no_version(
    registry: Registry, new_version: NewVersionMaker, fault: str
) -> None:
    version = registry.catalog.publish(new_version(), actor="ada")
    for name in version_files(new_version()):
        path = stored(registry, name, new_version())
        path.write_bytes(b"?") if fault == "damaged" else path.unlink()
    assert registry.catalog.publish(new_version(), actor="bob") == version
    assert registry.catalog.read_files(version) == new_version().files
    assert registry.revision() == 1


def version_files(new: NewVersion) -> list[str]:
    return sorted(new.files)


def test_a_file_removed_before_the_rows_are_written_is_stored_again(
    registry: Registry, new_version: NewVersionMaker
) -> None:
    def remove_files(_files: Mapping[str, bytes]) -> None:
        for file in list(registry.blobs.list()):
            registry.blobs.delete(file)

    version = registry.catalog.publish(new_version(), actor="ada", inspect=remove_files)
    assert registry.catalog.read_files(version) == new_version().files
