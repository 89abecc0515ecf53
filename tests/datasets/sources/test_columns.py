"""Tables whose columns have unusual names: found by their values, chosen by a person, or asked about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loravit_web.datasets import csv_with_zip
from loravit_web.datasets.errors import ColumnNotFound, InvalidCsv, LabelColumnUnclear, NoLabelColumns
from loravit_web.datasets.layout.plan import Plan
from loravit_web.datasets.sources.csv_table.rows import FIND_COLUMNS, Columns, chosen_columns
from loravit_web.datasets.sources.opening import open_source
from tests.datasets.makers import folder_of, png, zip_of

IMAGES = {f"images/0{number}.png": png(number) for number in range(8)}
CLASSES = ["cat", "cat", "cat", "cat", "dog", "dog", "dog", "dog"]
SPLITS = ["train", "train", "val", "test", "train", "train", "val", "test"]
Row = Callable[[int, str, str], str]


def planned(
    tmp_path: Path,
    header: str,
    row: Row,
    *,
    columns: Columns = FIND_COLUMNS,
    kind: str = "zip",
    name: str = "a.csv",
) -> Plan:
    rows = [row(number, CLASSES[number], SPLITS[number]) for number in range(8)]
    table = "\n".join([header, *rows]).encode()
    if kind == "with a zip":
        (tmp_path / name).write_bytes(table)
        with csv_with_zip(tmp_path / name, zip_of(tmp_path / "b.zip", IMAGES), columns=columns) as source:
            return source.plan
    files = {**IMAGES, name: table}
    data = folder_of(tmp_path / "a", files) if kind == "folder" else zip_of(tmp_path / "a.zip", files)
    with open_source(data, columns=columns) as source:
        return source.plan


def classes(plan: Plan) -> list[str]:
    return [place.class_name for place in sorted(plan.placements, key=lambda place: place.path)]


def splits(plan: Plan) -> list[str]:
    return [place.split for place in sorted(plan.placements, key=lambda place: place.path)]


TABLES: dict[str, tuple[str, Row]] = {
    "German": ("Dateiname;Klasse", lambda n, c, _s: f"0{n}.png;{c}"),
    "Spanish": ("imagen,clase", lambda n, c, _s: f"0{n}.png,{c}"),
    "Russian": ("файл,класс", lambda n, c, _s: f"0{n}.png,{c}"),
    "Chinese": ("文件名,类别", lambda n, c, _s: f"0{n}.png,{c}"),
    "names that mean nothing": ("foo,bar", lambda n, c, _s: f"0{n}.png,{c}"),
    "a path named otherwise": ("thing,label", lambda n, c, _s: f"images/0{n}.png,{c}"),
    "an id that names no image": ("id,scan,label", lambda n, c, _s: f"{n + 100},0{n}.png,{c}"),
    "a measurement beside": ("file,finding code,score", lambda n, c, _s: f"0{n}.png,{c},{n}.37"),
    "an index beside": (",file,finding code", lambda n, c, _s: f"{n},0{n}.png,{c}"),
    "upper case": ("file,label", lambda n, c, _s: f"0{n}.PNG,{c}"),
    "another suffix": ("file,label", lambda n, c, _s: f"0{n}.jpeg,{c}"),
    "numbers without zeros": ("id,label", lambda n, c, _s: f"{n},{c}"),
    "addresses": ("image_url,label", lambda n, c, _s: f"https://a.org/images/0{n}.png?size=1#x,{c}"),
    "labels in words beside numbers": ("file,label,label_name", lambda n, c, _s: f"0{n}.png,{n // 4},{c}"),
    "one column of 0 and 1 for each class": (
        "file,cat,dog", lambda n, c, _s: f"0{n}.png,{int(c == 'cat')}.0,{int(c == 'dog')}.0",
    ),
    "bars": ("file|label", lambda n, c, _s: f"0{n}.png|{c}"),
    "a line about the separator": ("sep=;\nfile;label", lambda n, c, _s: f"0{n}.png;{c}"),
    "boxes": ("filename,width,class,xmin,xmax", lambda n, c, _s: f"0{n}.png,8,{c},1,2"),
}  # fmt: skip


@pytest.mark.parametrize(("header", "row"), TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("kind", ["zip", "folder", "with a zip"])
def test_paths_and_labels_are_found_by_names_and_values(
    tmp_path: Path, header: str, row: Row, kind: str
) -> None:
    plan = planned(tmp_path, header, row, kind=kind)
    assert (classes(plan), plan.labels, plan.skipped) == (CLASSES, "one", ())


SPLIT_COLUMNS: dict[str, tuple[str, Callable[[str], str]]] = {
    "German": ("Verwendung", lambda s: {"train": "Training", "val": "Validierung", "test": "Test"}[s]),
    "short": ("Partition", lambda s: {"train": "TR", "val": "VA", "test": "TE"}[s]),
    "two columns of yes": ("is_train,is_val", lambda s: f"{s == 'train'},{s == 'val'}"),
    "three columns of 1": (
        "train,val,test",
        lambda s: ",".join(str(int(s == o)) for o in ("train", "val", "test")),
    ),
    "two columns with crosses": (
        "Validation set,Test set",
        lambda s: f"{'x' * (s == 'val')},{'x' * (s == 'test')}",
    ),
}


@pytest.mark.parametrize(("header", "cell"), SPLIT_COLUMNS.values(), ids=SPLIT_COLUMNS)
def test_splits_are_found_in_columns_of_any_name(
    tmp_path: Path, header: str, cell: Callable[[str], str]
) -> None:
    plan = planned(tmp_path, f"file,label,{header}", lambda n, c, s: f"0{n}.png,{c},{cell(s)}")
    assert splits(plan) == SPLITS


@pytest.mark.parametrize("header", ["split", "partition", "subset"])
def test_splits_that_are_numbers_are_asked_about(tmp_path: Path, header: str) -> None:
    def row(number: int, name: str, split: str) -> str:
        return f"0{number}.png,{name},{['train', 'val', 'test'].index(split)}"

    with pytest.raises(
        InvalidCsv, match="has the unknown split “0”. Use train, val or test, or choose split=none"
    ):
        planned(tmp_path, f"file,label,{header}", row)
    plan = planned(tmp_path, f"file,label,{header}", row, columns=Columns(split="none"))
    assert splits(plan) == ["train"] * 8


def test_columns_that_are_not_used_are_told(tmp_path: Path) -> None:
    plan = planned(tmp_path, "file,label,fold,age", lambda n, c, _s: f"0{n}.png,{c},{n % 2},{n}")
    assert plan.notes[-1] == "These columns are not used: “fold” and “age”."
    plan = planned(tmp_path, "file,label,xmin,ymin", lambda n, c, _s: f"0{n}.png,{c},1,2")
    assert (
        plan.notes[-1]
        == "The table has boxes of object detection. They are not used: each image needs one class."
    )


def test_of_several_columns_that_can_be_the_labels_a_person_chooses(tmp_path: Path) -> None:
    def row(number: int, name: str, _split: str) -> str:
        return f"0{number}.png,{name},{'ab'[number % 2]}"

    with pytest.raises(LabelColumnUnclear, match="“animal” and “camera” of “a.csv” can all be the labels"):
        planned(tmp_path, "file,animal,camera", row)
    assert classes(planned(tmp_path, "file,animal,camera", row, columns=Columns(label="animal"))) == CLASSES
    plan = planned(tmp_path, "file,label,camera", row, columns=chosen_columns(["label=Camera"]))
    assert classes(plan) == ["a", "b"] * 4
    with pytest.raises(
        ColumnNotFound, match="no column “color”. Its columns are “file”, “label” and “camera”"
    ):
        planned(tmp_path, "file,label,camera", row, columns=Columns(label="color"))


@pytest.mark.parametrize("text", ["label", "label=", "color=red", "=x"])
def test_a_choice_without_a_role_or_a_column_is_refused(text: str) -> None:
    with pytest.raises(ColumnNotFound, match="chooses no column"):
        chosen_columns([text])


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("foo,bar", lambda n, c, _s: f"x{n}.png,{c}"),
        ("file,score", lambda n, _c, _s: f"0{n}.png,{n}.25"),
        ("00.png,cat", lambda n, c, _s: f"0{n}.png,{c}"),
    ],
    ids=["no column of images", "measurements", "no header"],
)
def test_a_table_without_such_columns_is_refused_with_those_that_it_has(
    tmp_path: Path, header: str, row: Row
) -> None:
    with pytest.raises(NoLabelColumns, match="has no columns path and label. Its columns are “"):
        planned(tmp_path, header, row)


def test_a_table_of_predictions_beside_the_labels_is_not_used(tmp_path: Path) -> None:
    rows = [f"0{number}.png,{name}" for number, name in enumerate(CLASSES)]
    files = {
        **IMAGES,
        "train.csv": "\n".join(["file,label", *rows[:3], *rows[4:7]]).encode(),
        "sample_submission.csv": b"file,label\n03.png,cat\n07.png,cat",
    }
    with open_source(zip_of(tmp_path / "a.zip", files)) as source:
        assert classes(source.plan) == ["cat"] * 3 + ["dog"] * 3
        assert "Labels of sample_submission.csv are not used" in source.plan.notes[1]


def test_a_label_that_pandas_wrote_for_an_empty_cell_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidCsv, match="Line 5 .* has no path or no label"):
        planned(tmp_path, "file,label", lambda n, c, _s: f"0{n}.png,{'NaN' if n == 3 else c}")
