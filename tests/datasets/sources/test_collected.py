"""Images given class by class, and a CSV with its images in a zip."""

from __future__ import annotations

from pathlib import Path

import pytest

from loravit_web.datasets import DatasetStore, collected, csv_with_zip
from loravit_web.datasets.errors import CardIncomplete, CsvPathOutside, TooFewClasses
from tests.datasets.makers import CATS_AND_DOGS, folder_of, png, zip_of


@pytest.fixture
def datasets(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=1)


def test_cards_become_classes(datasets: DatasetStore, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", {**CATS_AND_DOGS, "dog/notes.txt": b"x"})
    cats, dogs = (sorted((root / name).iterdir()) for name in ("cat", "dog"))
    dataset = datasets.import_opened(collected([(" Cat ", cats), ("dog", dogs), ("", [])]), name="Pets")
    assert (dataset.name, dataset.source_kind) == ("Pets", "folder")
    assert {name: sum(one.values()) for name, one in dataset.counts().items()} == {"Cat": 3, "dog": 2}
    assert [one.path for one in dataset.skipped] == ["dog/notes.txt"]


def test_a_class_name_may_hold_what_no_folder_could(datasets: DatasetStore, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", CATS_AND_DOGS)
    cards = [(name, sorted((root / folder).iterdir())) for name, folder in (("a/b", "cat"), ("../c", "dog"))]
    assert datasets.import_opened(collected(cards)).classes == ("../c", "a/b")


def test_images_without_a_class_name_are_told_by_their_card(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", CATS_AND_DOGS)
    with pytest.raises(CardIncomplete, match="Card 2 has images but no class name"):
        collected([("cat", []), (" ", [root / "dog" / "1.png"])])


def test_cards_without_images_make_no_dataset(datasets: DatasetStore) -> None:
    with pytest.raises(TooFewClasses):
        datasets.import_opened(collected([("cat", []), ("dog", [])]))


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
    assert [(one.path, one.reason) for one in dataset.skipped] == [("gone.png", "it is not in the zip")]


def test_a_csv_can_not_climb_out_of_its_zip(tmp_path: Path) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_text("path,label\n../../etc/passwd.png,a\n")
    archive = zip_of(tmp_path / "photos.zip", {"1.png": png(1)})
    with pytest.raises(CsvPathOutside), csv_with_zip(csv, archive):
        pass
