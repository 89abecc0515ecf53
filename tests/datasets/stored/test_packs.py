"""The files of a dataset travel in a few packs, and arrive as they were."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from loravit_web.datasets import DatasetStore, ImageDataset, Uploader
from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.datasets.stored import packs
from loravit_web.datasets.stored.packs import image_packs, records_pack, unpack
from loravit_web.datasets.stored.uploaders import read_uploader
from tests.datasets.makers import CATS_AND_DOGS, zip_of


def imported(tmp_path: Path, uploader: Uploader | None = None) -> ImageDataset:
    store = DatasetStore(tmp_path / "here", workers=1, uploader=uploader, importer="ann")
    return store.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS), name="Pets")


def moved(dataset: ImageDataset, tmp_path: Path) -> DatasetStore:
    folder = tmp_path / "there" / dataset.fingerprint
    (tmp_path / "scratch").mkdir()
    for pack in (*image_packs(dataset), records_pack(dataset, tmp_path / "scratch")):
        unpack(pack, folder)
    return DatasetStore(tmp_path / "there")


def test_a_dataset_arrives_with_its_images_and_each_persons_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 1)
    dataset = imported(tmp_path)
    assert len(list(image_packs(dataset))) == len({item.sha256 for item in dataset.items})
    there = moved(dataset, tmp_path).imported_by("ann").load(dataset.fingerprint)
    assert (there.name, there.items, there.classes) == ("Pets", dataset.items, dataset.classes)
    for item in dataset.items:
        assert there.image_path(item).read_bytes() == dataset.image_path(item).read_bytes()


def test_the_same_images_give_the_same_packs(tmp_path: Path) -> None:
    dataset = imported(tmp_path)
    assert list(image_packs(dataset)) == list(image_packs(dataset))


def test_a_visitors_dataset_arrives_as_theirs_without_the_paths_of_their_uploads(tmp_path: Path) -> None:
    dataset = imported(tmp_path, Uploader("guest-1", "source", ("/tmp/upload.zip",)))
    there = moved(dataset, tmp_path)
    assert there.load(dataset.fingerprint).owner == "guest-1"
    assert read_uploader(there.root / dataset.fingerprint) == Uploader("guest-1", "source")


@pytest.mark.parametrize(
    "name",
    ["../../secret", "images/ab/../../x.png", "/etc/passwd", "work.py", "images/aa/" + "a" * 64 + ".png"],
)
def test_a_pack_with_other_files_or_other_bytes_is_refused(name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    with pytest.raises(DatasetDamaged, match="stored images are damaged"):
        unpack(buffer.getvalue(), tmp_path / "there")
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_pack_with_anything_but_plain_files_is_refused(kind: bytes, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(DatasetDamaged):
        unpack(buffer.getvalue(), tmp_path / "there")


def test_a_cut_pack_is_refused(tmp_path: Path) -> None:
    (pack,) = image_packs(imported(tmp_path))
    with pytest.raises(DatasetDamaged):
        unpack(pack[:700], tmp_path / "there")
