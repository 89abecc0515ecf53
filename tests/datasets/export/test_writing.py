"""What is exported is read back by an import: the same classes, splits, labels and images."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image

from loravit_web.datasets import DatasetStore, ImageDataset, relabeled
from loravit_web.datasets.errors import DatasetDamaged, NotExportable
from loravit_web.datasets.export.corrections import Correction, corrections_of
from loravit_web.datasets.export.forms import Form
from loravit_web.datasets.export.names import file_stem, is_folder_name, paths_of
from loravit_web.datasets.export.writing import ABOUT, export
from loravit_web.datasets.records import ImageItem
from tests.datasets.makers import CATS_AND_DOGS, folder_of, images, png, zip_of

FORMS: tuple[Form, ...] = get_args(Form)
EVERY_SPLIT = {
    **{f"train/{path}": content for path, content in CATS_AND_DOGS.items()},
    **{
        f"{split}/{name}/x{number % 10}.png": png(number)
        for split, name, first in (
            ("val", "cat", 21),
            ("val", "dog", 31),
            ("test", "cat", 41),
            ("test", "dog", 51),
        )
        for number in (first, first + 1)
    },
}


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=2)


def table(rows: dict[str, str], column: str = "label") -> bytes:
    return "\n".join([f"path,{column}", *(f'{path},"{label}"' for path, label in rows.items())]).encode()


def imported_table(store: DatasetStore, folder: Path, labels: list[str]) -> ImageDataset:
    """Import three images of each label from a table."""
    rows = {f"{number}.png": label for number, label in enumerate(labels * 3)}
    return store.import_source(folder_of(folder, {**images(rows), "labels.csv": table(rows)}))


def exported(store: DatasetStore, dataset: ImageDataset, folder: Path, form: Form) -> Path:
    return export(store, dataset, folder / f"{form}.zip", form).path


def names_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def text_in(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode()


def same(first: ImageDataset, second: ImageDataset) -> bool:
    """Whether two datasets have the same classes, splits, labels and bytes."""
    return first.fingerprint == second.fingerprint and first.labels == second.labels


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("files", [CATS_AND_DOGS, EVERY_SPLIT], ids=["training images", "all splits"])
def test_an_export_is_imported_as_the_same_dataset(
    store: DatasetStore, tmp_path: Path, form: Form, files: dict[str, bytes]
) -> None:
    dataset = store.import_source(zip_of(tmp_path / "pets.zip", files))
    path = exported(store, dataset, tmp_path, form)
    again = DatasetStore(tmp_path / "other", workers=2).import_source(path)
    assert same(again, dataset)
    assert [entry.path for entry in again.skipped] == ([ABOUT] if form == "folders" else [])


@pytest.mark.parametrize("form", ["csv", "imagefolder", "coco"])
def test_images_with_several_labels_and_with_none_are_exported(
    store: DatasetStore, tmp_path: Path, form: Form
) -> None:
    labels = ["cat;dog", "cat", "dog;hen", "hen", "", "cat;dog;hen"]
    rows = {f"{number}.png": label for number, label in enumerate(labels)}
    dataset = store.import_source(
        folder_of(tmp_path / "a", {**images(rows), "labels.csv": table(rows, "labels")})
    )
    assert any(not item.labels for item in dataset.items)
    again = DatasetStore(tmp_path / "other").import_source(exported(store, dataset, tmp_path, form))
    assert same(again, dataset)
    with pytest.raises(NotExportable, match="Folders cannot hold images with several labels. Use"):
        exported(store, dataset, tmp_path, "folders")


AWKWARD: dict[str, list[str]] = {
    "letters of all scripts": ["Äpfel & Birnen", "猫", "кошка", "🐈"],
    "spaces and signs": ["a b", "a'b", "a&b", "100%", "#1", "(x)"],
    "numbers": ["1", "2", "10"],
    "numbers with leading zeros": ["01", "02", "10"],
    "decimal numbers": ["1.5", "2.5"],
    "words of splits": ["test", "train", "valid"],
    "words of masks": ["mask", "no mask"],
    "words of systems": ["trash", "thumbs"],
    "slashes": ["a/b", "a\\b"],
    "dots": ["..", ".hidden", "end."],
    "names of devices": ["con", "nul"],
    "separators": ["a;b", "c|d", "e,f"],
    "quotes": ["“a”", "b'c"],
    "formulas": ["=1+1", "@x", "-y"],
    "names of columns": ["path", "label", "split"],
    "long": ["x" * 80, "y" * 80],
    "case": ["Cat", "cat "],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", AWKWARD.values(), ids=AWKWARD)
def test_a_form_holds_any_names_of_classes_or_says_that_it_cannot(
    store: DatasetStore, tmp_path: Path, form: Form, labels: list[str]
) -> None:
    dataset = imported_table(store, tmp_path / "a", labels)
    try:
        path = exported(store, dataset, tmp_path, form)
    except NotExportable as error:
        assert "Use " in str(error)
        assert list(tmp_path.glob("*.zip")) == list(tmp_path.glob(".*.zip")) == []
        assert form in ("folders", "csv")
        return
    assert same(DatasetStore(tmp_path / "other").import_source(path), dataset)


@pytest.mark.parametrize("form", ["csv", "imagefolder", "coco"])
@pytest.mark.parametrize("labels", AWKWARD.values(), ids=AWKWARD)
def test_several_labels_of_any_name_are_held_or_refused(
    store: DatasetStore, tmp_path: Path, form: Form, labels: list[str]
) -> None:
    every = {f"{n}.png": labels[n % len(labels)] for n in range(3 * len(labels))}
    lines = [json.dumps({"file_name": path, "labels": [label]}) for path, label in every.items()]
    lines.append(json.dumps({"file_name": "all.png", "labels": labels}))
    files = {**images(every), "all.png": png(999), "metadata.jsonl": "\n".join(lines).encode()}
    dataset = store.import_source(folder_of(tmp_path / "a", files))
    try:
        path = exported(store, dataset, tmp_path, form)
    except NotExportable:
        assert form == "csv"
        return
    assert same(DatasetStore(tmp_path / "other").import_source(path), dataset)


def test_file_names_are_kept_and_made_unique(store: DatasetStore, tmp_path: Path) -> None:
    paths = ["cat/A.png", "cat/a.png", "cat/inner/a.png", "dog/a.png", "dog/b.png"]
    files = images(paths)
    dataset = store.import_source(zip_of(tmp_path / "pets.zip", files), classes_at=1)
    assert names_in(exported(store, dataset, tmp_path, "folders"))[1:] == [
        "cat/A.png",
        "cat/a-2.png",
        "cat/a-3.png",
        "dog/a.png",
        "dog/b.png",
    ]


def test_names_that_an_import_would_take_for_masks_are_numbered(store: DatasetStore, tmp_path: Path) -> None:
    rows = {f"{n}{end}.png": name for n, name in enumerate("aabb") for end in ("", "_mask")}
    dataset = store.import_source(folder_of(tmp_path / "a", {**images(rows), "labels.csv": table(rows)}))
    done = export(store, dataset, tmp_path / "a.zip", "folders")
    assert done.numbered
    assert same(DatasetStore(tmp_path / "other").import_source(done.path), dataset)


@pytest.mark.parametrize("form", FORMS)
def test_images_in_several_splits_and_classes_are_exported_each_time(
    store: DatasetStore, tmp_path: Path, form: Form
) -> None:
    files = {**EVERY_SPLIT, "test/cat/leak.png": png(0), "train/dog/torn.png": png(1)}
    dataset = store.import_source(zip_of(tmp_path / "pets.zip", files))
    again = DatasetStore(tmp_path / "other").import_source(exported(store, dataset, tmp_path, form))
    assert same(again, dataset)


@pytest.mark.parametrize("form", FORMS)
def test_files_of_another_suffix_are_exported(store: DatasetStore, tmp_path: Path, form: Form) -> None:
    files = {
        path.replace(".png", end): data
        for (path, data), end in zip(CATS_AND_DOGS.items(), ["", ".dat", ".PNG", ".jpg", ".png"], strict=True)
    }
    dataset = store.import_source(zip_of(tmp_path / "pets.zip", files))
    again = DatasetStore(tmp_path / "other").import_source(exported(store, dataset, tmp_path, form))
    assert same(again, dataset)


def test_the_files_of_each_form_are_those_that_other_tools_read(store: DatasetStore, tmp_path: Path) -> None:
    dataset = store.import_source(zip_of(tmp_path / "pets.zip", EVERY_SPLIT))
    folders = names_in(exported(store, dataset, tmp_path, "folders"))
    assert {name.rpartition("/")[0] for name in folders} - {""} == {
        f"{split}/{name}" for split in ("train", "validation", "test") for name in ("cat", "dog")
    }
    csv = text_in(exported(store, dataset, tmp_path, "csv"), "labels.csv").splitlines()
    assert csv[:2] == ["path,label,split", "images/x1.png,cat,test"]
    image_folder = exported(store, dataset, tmp_path, "imagefolder")
    lines = text_in(image_folder, "validation/metadata.jsonl").splitlines()
    assert json.loads(lines[0]) == {"file_name": "x1.png", "label": "cat"}
    coco: dict[str, Any] = json.loads(
        text_in(exported(store, dataset, tmp_path, "coco"), "train/_annotations.coco.json")
    )
    assert coco["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert {(one["width"], one["height"]) for one in coco["images"]} == {(6, 6)}
    assert coco["annotations"][0]["bbox"] == [0, 0, 6, 6]
    assert len({one["id"] for one in coco["annotations"]}) == len(coco["images"]) == 5


def test_the_same_dataset_gives_the_same_bytes(store: DatasetStore, tmp_path: Path) -> None:
    dataset = store.import_source(zip_of(tmp_path / "pets.zip", EVERY_SPLIT))
    first = exported(store, dataset, tmp_path, "csv").read_bytes()
    assert exported(store, dataset, tmp_path, "csv").read_bytes() == first


def test_the_exporter_has_the_names_of_their_own_import(store: DatasetStore, tmp_path: Path) -> None:
    ann, bob = store.imported_by("ann"), store.imported_by("bob")
    ann.import_source(zip_of(tmp_path / "ann.zip", CATS_AND_DOGS))
    renamed = {path.replace(".png", "-b.png"): content for path, content in CATS_AND_DOGS.items()}
    dataset = bob.import_source(zip_of(tmp_path / "bob.zip", renamed))
    path = exported(bob, dataset, tmp_path, "folders")
    assert names_in(path)[1:] == list(renamed)
    assert json.loads(text_in(path, ABOUT))["name"] == "bob"


def test_corrections_are_listed_in_the_export(store: DatasetStore, tmp_path: Path) -> None:
    dataset = store.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))
    first, second = dataset.items[0], dataset.items[-1]
    assert corrections_of(dataset, store) == ()
    corrected = relabeled(store, dataset, {(first.sha256, first.label): "dog"})
    wanted = (Correction("cat/1.png", "train", ("cat",), ("dog",)),)
    assert corrections_of(corrected, store) == wanted
    about = json.loads(text_in(exported(store, corrected, tmp_path, "folders"), ABOUT))
    assert about["corrections"] == [
        {"path": "cat/1.png", "split": "train", "before": ["cat"], "after": ["dog"]}
    ]
    added = dataset.items[1]
    smaller = relabeled(store, dataset, {(added.sha256, added.label): None})
    name = f"pets (1 changed from {smaller.fingerprint[:8]})"
    larger = store.import_source(tmp_path / "pets.zip", name=name)  # as earlier versions of the app named it
    assert corrections_of(larger, store) == (Correction("cat/2.png", "train", None, ("cat",)),)
    removed = relabeled(store, corrected, {(first.sha256, corrected.classes.index("dog")): None})
    assert corrections_of(removed, store) == (Correction("cat/1.png", "train", ("dog",), None),)
    store.delete(corrected.fingerprint)
    done = export(store, removed, tmp_path / "removed.zip", "folders")
    assert done.corrections is None
    assert json.loads(text_in(done.path, ABOUT))["corrections"] is None
    assert second.path in {item.path for item in removed.items}


def test_a_missing_image_is_told_and_leaves_nothing(store: DatasetStore, tmp_path: Path) -> None:
    dataset = store.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))
    dataset.image_path(dataset.items[0]).unlink()
    for form in FORMS:
        with pytest.raises(DatasetDamaged, match="Import the images again to repair it"):
            exported(store, dataset, tmp_path, form)
    assert [path.name for path in tmp_path.glob("*.zip")] == ["pets.zip"]
    assert list(tmp_path.glob(".*")) == []


def test_a_file_that_cannot_be_written_leaves_nothing(store: DatasetStore, tmp_path: Path) -> None:
    dataset = store.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))
    with pytest.raises(OSError, match="No such file or directory"):
        export(store, dataset, tmp_path / "missing" / "a.zip", "folders")
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(OSError, match="directory"):
        export(store, dataset, tmp_path / "folder.zip", "folders")
    assert list(tmp_path.glob(".*")) == []


def test_jpeg_and_webp_are_exported_with_their_size(store: DatasetStore, tmp_path: Path) -> None:
    files = {}
    for number, form in enumerate(["JPEG", "WEBP", "GIF", "BMP", "TIFF", "PNG"]):
        buffer = BytesIO()
        Image.new("RGB", (10 + number, 5), (40 * number, 9, 9)).save(buffer, form)
        files[f"{'ab'[number % 2]}/{number}.{form.lower()}"] = buffer.getvalue()
    dataset = store.import_source(zip_of(tmp_path / "a.zip", files))
    coco = json.loads(text_in(exported(store, dataset, tmp_path, "coco"), "train/_annotations.coco.json"))
    assert sorted((one["width"], one["height"]) for one in coco["images"]) == [(10 + n, 5) for n in range(6)]


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("a/b.png", "b"),
        ("a/b.tar.gz", "b.tar"),
        ("a/con.png", "_con"),
        ("a/.png", ".png".strip(". ")),
        ('a/x:y*z?"<>|.png', "x_y_z_____"),
        ("a/ dots... .png", "dots"),
        ("a/\ufffd\x00.png", "__"),
        ("a/" + "ä" * 200 + ".png", "ä" * 60),
        ("", ""),
    ],
)
def test_stems_are_valid_on_every_system(path: str, stem: str) -> None:
    assert file_stem(path) == stem


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a.", "a ", "a/b", "a\\b", "a:b", "con", "NUL.txt", "a\nb"]
)
def test_names_that_a_system_refuses_are_no_folders(name: str) -> None:
    assert not is_folder_name(name)


def test_every_path_of_an_export_is_unique_whatever_the_names() -> None:
    names = ["a.png", "A.jpg", "a.png", "a-2.png", "", "x/.png", "000005.png"]
    items = [ImageItem(name, "train", (0,), str(number), ".png") for number, name in enumerate(names)]
    for numbered in (False, True):
        paths = paths_of(items, lambda _item: "images/", numbered=numbered)
        assert len({path.casefold() for path in paths}) == len(items)
