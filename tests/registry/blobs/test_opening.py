"""Opening the store at an address."""

from pathlib import Path
from uuid import uuid4

import pytest

from registry import NewBase, NewVersion, Registry, UnusableArtifactAddress
from registry.blobs.local import LocalBlobs
from registry.blobs.opening import open_blobs
from registry.blobs.remote import RemoteBlobs


def test_a_folder_and_a_file_address_are_the_same_local_store(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    for address in (folder, str(folder), folder.as_uri(), f"file://{folder}", f"local://{folder}"):
        store = open_blobs(address)
        assert isinstance(store, LocalBlobs)
        assert store.folder == folder


def test_any_other_address_is_a_remote_store(tmp_path: Path) -> None:
    assert isinstance(open_blobs("memory://team", tmp_path), RemoteBlobs)


def test_a_registry_publishes_to_an_address_and_reads_through_its_cache(tmp_path: Path) -> None:
    url, address = f"sqlite:///{tmp_path / 'registry.db'}", f"memory://{uuid4().hex}"
    with Registry.open(url, address, cache=tmp_path / "cache") as registry:
        base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit", 384, 12))
        files: dict[str, bytes | Path] = {"adapter_model.safetensors": b"weights", "task.json": b"{}"}
        new = NewVersion("pets", "Pets", "", None, base.id, None, "LORA", 1, 112, ("a", "b"), {}, files)
        version = registry.catalog.publish(new, actor="ada")
        assert registry.catalog.read_files(version) == files
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {one.sha256 for one in version.files}
    assert not (tmp_path / "artifacts").exists()


def test_a_registry_does_not_open_with_an_unusable_artifact_address(tmp_path: Path) -> None:
    with pytest.raises(UnusableArtifactAddress):
        Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", "nonsense://x")
