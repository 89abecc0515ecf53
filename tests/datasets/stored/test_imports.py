"""The images of a dataset are stored once, and each person who imports them sees their own names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loravit_web.datasets import DatasetStore
from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.datasets.revisions.next import Draft
from loravit_web.datasets.stored.imports import IMPORTS, read_imports
from tests.datasets.makers import CATS_AND_DOGS, png, zip_of


@pytest.fixture
def datasets(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=2, clock=lambda: 1000.0)


RENAMED = {
    path.replace("1.png", "z.png").replace("2.png", "a.png"): content
    for path, content in CATS_AND_DOGS.items()
}
"""The same images under names that sort in another order."""


def imported(datasets: DatasetStore, folder: Path) -> tuple[DatasetStore, DatasetStore]:
    """The store as ann and as bob see it, who imported the same images under other names."""
    ann, bob = datasets.imported_by("ann"), datasets.imported_by("bob")
    ann.import_source(zip_of(folder / "ann.zip", CATS_AND_DOGS), name="Ann's pets")
    notes = {**RENAMED, "cat/notes.txt": b"of bob"}
    bob.import_source(zip_of(folder / "bob.zip", notes), name="Bob's pets")
    return ann, bob


def test_a_second_person_sees_their_own_title_file_names_and_skipped_files(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    ann, bob = imported(datasets, tmp_path)
    (fingerprint,) = datasets.list()
    of_ann, of_bob = ann.load(fingerprint), bob.load(fingerprint)
    assert (of_ann.name, of_bob.name) == ("Ann's pets", "Bob's pets")
    assert [item.path for item in of_ann.items] == list(CATS_AND_DOGS)
    assert {item.path: item.sha256 for item in of_bob.items} == {
        path: item.sha256 for path, item in zip(RENAMED, of_ann.items, strict=True)
    }
    assert ([entry.path for entry in of_ann.skipped], [entry.path for entry in of_bob.skipped]) == (
        [],
        ["cat/notes.txt"],
    )


def test_the_images_have_the_same_order_and_files_for_everyone(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    ann, bob = imported(datasets, tmp_path)
    (fingerprint,) = datasets.list()
    of_ann, of_bob = ann.load(fingerprint), bob.load(fingerprint)
    assert [item.sha256 for item in of_ann.items] == [item.sha256 for item in of_bob.items]
    files = [path for path in datasets.root.rglob("*") if path.is_file() and path.suffix == ".png"]
    assert len(files) == len(CATS_AND_DOGS)
    for item in of_bob.items:
        assert of_bob.image_path(item).read_bytes() == RENAMED[item.path]


def test_who_did_not_import_the_images_sees_the_names_of_the_first_import(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    imported(datasets, tmp_path)
    (fingerprint,) = datasets.list()
    for other in (datasets, datasets.imported_by("eve")):
        assert other.load(fingerprint).name == "Ann's pets"


def test_a_persons_newest_import_counts(datasets: DatasetStore, tmp_path: Path) -> None:
    ann, bob = imported(datasets, tmp_path)
    again = ann.import_source(zip_of(tmp_path / "again.zip", CATS_AND_DOGS), name="Pets of 2026")
    assert (again.name, ann.load(again.fingerprint).name) == ("Pets of 2026", "Pets of 2026")
    assert bob.load(again.fingerprint).name == "Bob's pets"
    assert [(one.importer, one.imported_at) for one in read_imports(again.root)] == [
        ("ann", 1000.0),
        ("bob", 1000.0),
    ]


@pytest.mark.parametrize("name", ["", "../../ann", "Ann Ä/ß", "con.", "a" * 500])
def test_any_name_of_a_person_is_a_file_of_its_own(datasets: DatasetStore, tmp_path: Path, name: str) -> None:
    archive = zip_of(tmp_path / "a.zip", CATS_AND_DOGS)
    dataset = datasets.imported_by(name).import_source(archive, name="Theirs")
    datasets.imported_by("other").import_source(archive, name="Other")
    assert datasets.imported_by(name).load(dataset.fingerprint).name == "Theirs"
    assert [path.parent.name for path in dataset.root.rglob("*.json")].count(IMPORTS) == 2


def test_a_dataset_of_an_earlier_version_keeps_its_names_for_others(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    first = datasets.import_source(zip_of(tmp_path / "first.zip", CATS_AND_DOGS), name="First")
    for path in (first.root / IMPORTS).iterdir():
        path.unlink()
    (first.root / IMPORTS).rmdir()
    assert datasets.load(first.fingerprint).name == "First"
    bob = datasets.imported_by("bob")
    bob.import_source(zip_of(tmp_path / "bob.zip", RENAMED), name="Bob's")
    assert (datasets.load(first.fingerprint).name, bob.load(first.fingerprint).name) == ("First", "Bob's")
    assert [one.importer for one in read_imports(first.root)] == ["", "bob"]


@pytest.mark.parametrize("damage", ["", "{}", '{"importer": "bob"}', "[]", "[1]", None])
def test_damaged_names_are_detected_and_repaired_by_importing_again(
    datasets: DatasetStore, tmp_path: Path, damage: str | None
) -> None:
    ann, bob = imported(datasets, tmp_path)
    (fingerprint,) = datasets.list()
    (path,) = [
        path
        for path in (datasets.root / fingerprint / IMPORTS).iterdir()
        if json.loads(path.read_text())["importer"] == "bob"
    ]
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "paths": document["paths"][:-1]}) if damage is None else damage)
    with pytest.raises(DatasetDamaged, match="Import the images again to repair them"):
        bob.load(fingerprint)
    assert ann.load(fingerprint).name == "Ann's pets"
    assert bob.import_source(tmp_path / "bob.zip").name == "bob"
    assert bob.load(fingerprint).name == "bob"


def test_the_names_of_all_survive_the_repair_of_the_images(datasets: DatasetStore, tmp_path: Path) -> None:
    ann, bob = imported(datasets, tmp_path)
    (fingerprint,) = datasets.list()
    dataset = ann.load(fingerprint)
    dataset.image_path(dataset.items[0]).unlink()
    bob.import_source(tmp_path / "bob.zip", name="Repaired")
    assert (ann.load(fingerprint).name, bob.load(fingerprint).name) == ("Ann's pets", "Repaired")
    assert {item.path for item in ann.load(fingerprint).items} == set(CATS_AND_DOGS)


def test_a_correction_has_the_name_of_the_person_who_corrects(datasets: DatasetStore, tmp_path: Path) -> None:
    _ann, bob = imported(datasets, tmp_path)
    (fingerprint,) = datasets.list()
    dataset = bob.load(fingerprint)
    derived = bob.derive(dataset, Draft(dataset.classes, dataset.items[1:]))
    assert [one.importer for one in read_imports(derived.root)] == ["bob"]
    assert bob.load(derived.fingerprint).items == derived.items
    assert {item.path for item in derived.items} < set(RENAMED)


def test_images_with_several_splits_and_labels_keep_their_own_names(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    files = {f"train/{path}": content for path, content in CATS_AND_DOGS.items()}
    files |= {"test/cat/leak.png": png(0), "train/dog/torn.png": png(1)}
    ann, bob = datasets.imported_by("ann"), datasets.imported_by("bob")
    first = ann.import_source(zip_of(tmp_path / "a.zip", files))
    renamed = {path.replace(".png", "-b.png"): content for path, content in files.items()}
    bob.import_source(zip_of(tmp_path / "b.zip", renamed))
    assert [item.path for item in bob.load(first.fingerprint).items] == [
        item.path.replace(".png", "-b.png") for item in first.items
    ]
