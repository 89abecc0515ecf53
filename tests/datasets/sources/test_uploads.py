"""Images uploaded by class, and a CSV with its images in a zip."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from loravit_web.datasets import DatasetStore, csv_with_zip, files_by_class
from loravit_web.datasets.errors import CardIncomplete, CsvPathOutside, TooFewClasses
from tests.datasets.makers import CATS_AND_DOGS, folder_of, png, zip_of


@pytest.fixture
def datasets(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=1)


def test_uploaded_classes_become_a_dataset(datasets: DatasetStore, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", {**CATS_AND_DOGS, "dog/notes.txt": b"x"})
    cats, dogs = (sorted((root / name).iterdir()) for name in ("cat", "dog"))
    dataset = datasets.import_opened(files_by_class([(" Cat ", cats), ("dog", dogs), ("", [])]), name="Pets")
    assert (dataset.name, dataset.source_kind) == ("Pets", "folder")
    assert {name: sum(one.values()) for name, one in dataset.counts().items()} == {"Cat": 3, "dog": 2}
    assert [one.path for one in dataset.skipped] == ["dog/notes.txt"]


def test_a_class_name_can_contain_characters_that_folders_cannot(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    root = folder_of(tmp_path / "pets", CATS_AND_DOGS)
    cards = [(name, sorted((root / folder).iterdir())) for name, folder in (("a/b", "cat"), ("../c", "dog"))]
    assert datasets.import_opened(files_by_class(cards)).classes == ("../c", "a/b")


def test_images_without_a_class_name_are_rejected_with_their_position(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", CATS_AND_DOGS)
    with pytest.raises(CardIncomplete, match="Class 2 has images but no name"):
        files_by_class([("cat", []), (" ", [root / "dog" / "1.png"])])


def test_classes_without_images_are_not_a_dataset(datasets: DatasetStore) -> None:
    with pytest.raises(TooFewClasses):
        datasets.import_opened(files_by_class([("cat", []), ("dog", [])]))


@pytest.mark.parametrize("top", ["", "photos/"])
def test_a_csv_names_the_images_of_a_zip(datasets: DatasetStore, tmp_path: Path, top: str) -> None:
    rows = ["path,label,split"]
    rows += [f"{n}.png,{'ab'[n % 2]},{'test' if n > 5 else 'train'}" for n in range(8)]
    csv = tmp_path / "labels.csv"
    csv.write_text("\n".join([*rows, "gone.png,a,train"]))
    archive = zip_of(tmp_path / "photos.zip", {f"{top}{n}.png": png(n) for n in range(9)})
    with csv_with_zip(csv, archive) as source:
        dataset = datasets.import_opened(source)
    assert (dataset.name, dataset.source_kind, dataset.classes) == ("labels", "csv", ("a", "b"))
    assert len(dataset.select("train")) == 6
    assert len(dataset.select("test")) == 2
    assert [
        (one.path, one.reason) for one in sorted(dataset.skipped, key=lambda one: one.reason, reverse=True)
    ] == [
        (f"{top}8.png", "no row of the table names it"),
        ("gone.png", "it is not among the images"),
    ]
    assert dataset.warnings[:2] == (
        "1 row of the table left out, because the images are not there.",
        "1 image left out, because no row of the table names them.",
    )


def test_json_names_the_images_of_a_tar(datasets: DatasetStore, tmp_path: Path) -> None:
    lines = tmp_path / "metadata.jsonl"
    lines.write_text("\n".join(json.dumps({"file_name": f"{n}.png", "label": "ab"[n % 2]}) for n in range(4)))
    archive = tmp_path / "photos.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for n in range(4):
            info = tarfile.TarInfo(f"photos/{n}.png")
            info.size = len(png(n))
            tar.addfile(info, BytesIO(png(n)))
    with csv_with_zip(lines, archive) as source:
        dataset = datasets.import_opened(source)
    assert {name: counts["train"] for name, counts in dataset.counts().items()} == {"a": 2, "b": 2}


def test_a_csv_path_outside_its_zip_is_rejected(tmp_path: Path) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_text("path,label\n../../etc/passwd.png,a\n")
    archive = zip_of(tmp_path / "photos.zip", {"1.png": png(1)})
    with pytest.raises(CsvPathOutside), csv_with_zip(csv, archive):
        pass
