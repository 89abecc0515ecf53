"""Images with several labels are stored with all of them, and each class counts its images."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from loravit_web.datasets import (
    DatasetStore,
    ImageDataset,
    csv_with_zip,
    open_source,
    relabeled,
    strata,
    stratified_split,
)
from loravit_web.datasets.errors import ClassTooSmall, InvalidCsv
from loravit_web.datasets.relabel import SeveralLabels
from loravit_web.datasets.stored.manifest import MANIFEST
from tests.datasets.makers import images, zip_of

NAMES = [f"{number}.png" for number in range(6)]
WRITTEN = ["red", "red;round", "round", "", "red; round;", "round;red"]
LABELS = [("red",), ("red", "round"), ("round",), (), ("red", "round"), ("red", "round")]


def csv_of(folder: Path, header: str, cells: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in images(NAMES).items():
        (folder / name).write_bytes(content)
    path = folder / "tags.csv"
    rows = [f"{name},{cell}" for name, cell in zip(NAMES, cells, strict=True)]
    path.write_text("\n".join([f"path,{header}", *rows]))
    return path


def imported(store: Path, csv: Path) -> ImageDataset:
    return DatasetStore(store, workers=1).import_source(csv)


def labels_of(dataset: ImageDataset) -> list[tuple[str, ...]]:
    return [dataset.names_of(item) for item in dataset.items]


@pytest.mark.parametrize("header", ["labels", "Tags", "label"])
@pytest.mark.parametrize("separator", [";", "|", ","])
def test_a_cell_holds_several_labels_and_the_import_says_how_they_are_separated(
    header: str, separator: str, tmp_path: Path
) -> None:
    cells = [f'"{cell.replace(";", separator)}"' for cell in WRITTEN]
    dataset = imported(tmp_path / "store", csv_of(tmp_path / "data", header, cells))
    assert (dataset.labels, dataset.classes) == ("many", ("red", "round"))
    assert labels_of(dataset) == LABELS
    assert dataset.notes[0] == f"Several labels per image, separated by “{separator}”."
    assert dataset.notes[1] == "An image has 1.3 labels on average. 1 image(s) have none."


@pytest.mark.parametrize("flags", [("0", "1"), ("false", "TRUE")])
def test_a_column_of_0_and_1_for_each_label_is_read(flags: tuple[str, str], tmp_path: Path) -> None:
    cells = [",".join(flags[name in labels] for name in ("red", "round")) for labels in LABELS]
    dataset = imported(tmp_path / "store", csv_of(tmp_path / "data", "red,round", cells))
    assert (dataset.labels, dataset.classes) == ("many", ("red", "round"))
    assert labels_of(dataset) == LABELS
    assert dataset.notes[0] == "Several labels per image, one column for each label."


def test_columns_may_hold_the_split_and_other_separators_of_the_file(tmp_path: Path) -> None:
    csv = csv_of(tmp_path / "data", "", ["" for _ in NAMES])
    rows = [
        f"{name};{'test' if name == '5.png' else 'train'};1;{index % 2}" for index, name in enumerate(NAMES)
    ]
    csv.write_text("\n".join(["path;split;red;round", *rows]))
    dataset = imported(tmp_path / "store", csv)
    assert dataset.counts()["red"] == {"train": 5, "val": 0, "test": 1}
    assert dataset.counts()["round"] == {"train": 2, "val": 0, "test": 1}


@pytest.mark.parametrize(
    ("header", "cells", "message"),
    [
        ("red,round", ["0,1", "1,2", *["0,1"] * 4], "Line 3 of “tags.csv” has “2” in the column “round”"),
        ("red,red", ["0,1"] * 6, "“tags.csv” has two columns “red”"),
        ("labels", [";".join(map(str, range(1001))), *["1;2"] * 5], "Line 2 of “tags.csv” has 1001 labels"),
        ("color", ["red"] * 6, "“tags.csv” has no columns path and label"),
    ],
)
def test_columns_that_are_no_labels_are_refused(
    header: str, cells: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidCsv, match=message):
        imported(tmp_path / "store", csv_of(tmp_path / "data", header, cells))


def test_a_comma_in_a_class_name_is_no_separator_although_one_part_is_a_class_too(tmp_path: Path) -> None:
    cells = ['"New York, NY"'] * 3 + ["NY"] * 3
    dataset = imported(tmp_path / "store", csv_of(tmp_path / "data", "label", cells))
    assert (dataset.labels, dataset.classes) == ("one", ("New York, NY", "NY"))


def test_a_class_name_with_a_separator_stays_one_label_and_the_import_says_so(tmp_path: Path) -> None:
    cells = ["salt; pepper"] * 3 + ["sugar"] * 3
    dataset = imported(tmp_path / "store", csv_of(tmp_path / "data", "label", cells))
    assert (dataset.labels, dataset.classes) == ("one", ("salt; pepper", "sugar"))
    assert dataset.notes == (
        "“salt; pepper” is taken as one label. If it is several, name the column labels instead of label.",
    )


def test_a_column_named_labels_without_a_separator_is_told(tmp_path: Path) -> None:
    dataset = imported(tmp_path / "store", csv_of(tmp_path / "data", "labels", ["red"] * 3 + ["round"] * 3))
    assert dataset.labels == "many"
    assert "Name it label if each image has exactly one." in dataset.notes[0]


def test_the_images_come_from_a_zip_too(tmp_path: Path) -> None:
    csv = csv_of(tmp_path / "data", "labels", WRITTEN)
    archive = zip_of(tmp_path / "images.zip", images(NAMES))
    with csv_with_zip(csv, archive) as source:
        dataset = DatasetStore(tmp_path / "store", workers=1).import_opened(source)
    assert labels_of(dataset) == LABELS
    assert dataset.fingerprint == imported(tmp_path / "store", csv).fingerprint


def test_a_stored_dataset_keeps_its_labels_and_an_earlier_app_does_not_misread_it(tmp_path: Path) -> None:
    store = DatasetStore(tmp_path / "store", workers=1)
    dataset = store.import_source(csv_of(tmp_path / "data", "labels", WRITTEN))
    loaded = store.load(dataset.fingerprint)
    assert loaded == dataset
    assert json.loads((loaded.root / MANIFEST).read_text())["schema"] == 2


def test_the_same_images_with_one_label_each_are_another_dataset(tmp_path: Path) -> None:
    cells = ["red"] * 3 + ["round"] * 3
    found = [imported(tmp_path / "store", csv_of(tmp_path / h, h, cells)) for h in ("label", "labels")]
    assert [one.labels for one in found] == ["one", "many"]
    assert found[0].fingerprint != found[1].fingerprint


def test_a_label_with_one_training_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClassTooSmall, match="The class “rare” has only 1 training image"):
        imported(tmp_path / "store", csv_of(tmp_path / "data", "labels", ["red;rare", *["red;round"] * 5]))


def test_an_image_with_two_sets_of_labels_is_reported(tmp_path: Path) -> None:
    csv = csv_of(tmp_path / "data", "labels", WRITTEN)
    csv.write_text(csv.read_text() + "\n0.png,round")
    assert any("1 image(s) appear more than once" in text for text in imported(tmp_path / "s", csv).warnings)


def test_labels_of_several_cannot_be_corrected_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    store = DatasetStore(tmp_path / "store", workers=1)
    dataset = store.import_source(csv_of(tmp_path / "data", "labels", WRITTEN))
    with pytest.raises(SeveralLabels, match="Change the CSV and import it again"):
        relabeled(store, dataset, {(dataset.items[0].sha256, 0): "round"})


def test_a_csv_is_opened_with_its_notes(tmp_path: Path) -> None:
    with open_source(csv_of(tmp_path / "data", "labels", WRITTEN)) as source:
        assert (source.plan.labels, len(source.plan.notes)) == ("many", 1)


def test_the_rarest_label_is_the_stratum() -> None:
    assert strata([(2,), (0,), (1,)]) == [2, 0, 1]
    assert strata([(0, 1), (0,), (0, 2), (), (2,), (2,)]) == [1, 0, 0, -1, 2, 2]


def test_label_sets_that_occur_once_are_split_with_every_label_on_both_sides() -> None:
    sets = [(0, number % 4 + 1, number % 3 + 5) for number in range(24)] + [()]
    train, held = stratified_split(strata(sets), 0.25, seed=0)
    assert len(train) + len(held) == len(sets)
    for side in (train, held):
        assert set(Counter(label for index in side for label in sets[index])) == set(range(8))
