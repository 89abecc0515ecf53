"""Tables of labels with every usual header, beside their images, in a folder and in a zip."""

from __future__ import annotations

from pathlib import Path

import pytest

from loravit_web.datasets import csv_with_zip
from loravit_web.datasets.errors import AmbiguousLayout, InvalidCsv
from loravit_web.datasets.layout.plan import Plan
from loravit_web.datasets.sources.csv_table.columns import roles, split_in, split_places
from loravit_web.datasets.sources.opening import open_source
from tests.datasets.makers import folder_of, png, zip_of

IMAGES = {f"images/{number}.png": png(number) for number in range(6)}
LABELS = ["cat", "cat", "cat", "dog", "dog", "dog"]


def table(header: str, *, split: list[str] | None = None, path: str = "images/{}.png") -> bytes:
    rows = [f"{path.format(number)},{label}" for number, label in enumerate(LABELS)]
    if split is not None:
        rows = [f"{row},{value}" for row, value in zip(rows, split, strict=True)]
    return "\n".join([header, *rows]).encode()


def planned(tmp_path: Path, tables: dict[str, bytes], *, kind: str = "zip") -> Plan:
    files = {**IMAGES, **tables}
    data = zip_of(tmp_path / "a.zip", files) if kind == "zip" else folder_of(tmp_path / "a", files)
    with open_source(data) as source:
        return source.plan


def classes(plan: Plan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for place in plan.placements:
        found.setdefault(place.split, set()).add(place.class_name)
    return found


HEADERS = [
    "path,label",
    "file_name,label",
    "filename,class",
    "image_path,label",
    "Image,Category",
    "image_id,dx",
    "ImageID,Species",
    "img,target",
    "file,class_name",
    "File Path,Class Label",
    "id,breed",
    "image,labels",
    "photo,tag",
    "name,type",
    "fname,y",
    "image_name,diagnosis",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_usual_columns_are_found_in_a_zip_and_in_a_folder(tmp_path: Path, header: str, kind: str) -> None:
    plan = planned(tmp_path, {"labels.csv": table(header)}, kind=kind)
    assert classes(plan) == {"train": {"cat", "dog"}}
    assert plan.notes[0] == "The labels were read from labels.csv."
    assert (len(plan.notes) == 1) == (header == "path,label")


SPLITS = ["train", "train", "test", "train", "train", "test"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("split", SPLITS),
        ("Split", ["Train", "Train", "Test", "Train", "Train", "Test"]),
        ("data set", SPLITS),
        ("set", ["training", "training", "testing", "training", "training", "testing"]),
        ("subset", ["TRAIN", "TRAIN", "TEST", "TRAIN", "TRAIN", "TEST"]),
        ("partition", ["train set", "train set", "test set", "train set", "train set", "test set"]),
        ("Usage", ["Training", "Training", "PublicTest", "Training", "Training", "PublicTest"]),
        ("phase", ["train", "train", "evaluation", "train", "train", "evaluation"]),
        ("group name", SPLITS),
        ("is_test", ["0", "0", "1", "0", "0", "1"]),
        ("is_test", ["False", "False", "True", "False", "False", "True"]),
        ("is_train", ["1", "1", "0", "1", "1", "0"]),
        ("split", ["", "", "test", "train", "", "test"]),
    ],
)
def test_a_split_column_of_any_name_is_used(tmp_path: Path, column: str, values: list[str]) -> None:
    plan = planned(tmp_path, {"labels.csv": table(f"path,label,{column}", split=values)})
    assert [place.split for place in plan.placements] == SPLITS


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("set", ["A", "B", "A", "B", "A", "B"]),
        ("fold", ["1", "2", "1", "2", "1", "2"]),
        ("comment", ["train", "train", "nice", "train", "train", "test"]),
        ("color", ["red", "blue", "red", "blue", "red", "blue"]),
    ],
)
def test_other_columns_are_no_splits(tmp_path: Path, column: str, values: list[str]) -> None:
    plan = planned(tmp_path, {"labels.csv": table(f"path,label,{column}", split=values)})
    assert classes(plan) == {"train": {"cat", "dog"}}


def test_a_row_with_an_unknown_split_is_named(tmp_path: Path) -> None:
    values = ["train", "train", "test", "train", "someday", "test"]
    with pytest.raises(InvalidCsv, match="Line 6 of “labels.csv” has the unknown split “someday”"):
        planned(tmp_path, {"labels.csv": table("path,label,data set", split=values)})


@pytest.mark.parametrize(
    "path", ["images/{}.png", "{}.png", "{}", "images/{}", "./images/{}.png", "images\\{}.png"]
)
def test_images_are_found_by_path_name_and_stem(tmp_path: Path, path: str) -> None:
    plan = planned(tmp_path, {"labels.csv": table("id,label", path=path)})
    assert [place.path for place in plan.placements] == sorted(IMAGES)


def test_a_table_in_a_folder_names_images_relative_to_itself(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"images/labels.csv": table("path,label", path="{}.png")})
    assert len(plan.placements) == 6


def test_tables_named_for_splits_belong_together(tmp_path: Path) -> None:
    rows = table("path,label").decode().splitlines()
    train, test = [rows[0], *rows[1:3], *rows[4:6]], [rows[0], rows[3], rows[6]]
    tables = {"train.csv": "\n".join(train).encode(), "test.csv": "\n".join(test).encode()}
    plan = planned(tmp_path, tables)
    assert [place.split for place in sorted(plan.placements, key=lambda place: place.path)] == SPLITS


def test_several_tables_that_say_the_same_are_one_and_others_are_asked_about(tmp_path: Path) -> None:
    tables = {
        "a.csv": table("path,label"),
        "b.csv": table("file_name,class"),
        "prices.csv": b"width,price\n1,2",
    }
    assert classes(planned(tmp_path, tables)) == {"train": {"cat", "dog"}}
    other = table("path,label").replace(b"0.png,cat", b"0.png,dog")
    with pytest.raises(AmbiguousLayout, match="a.csv and c.csv say different things"):
        planned(tmp_path, {"a.csv": table("path,label"), "c.csv": other})


def test_class_folders_count_more_than_a_table(tmp_path: Path) -> None:
    files = {
        **{f"{name}/{n}.png": png(n) for name in ("a", "b") for n in range(3)},
        "labels.csv": table("path,label"),
    }
    with open_source(zip_of(tmp_path / "a.zip", files)) as source:
        assert classes(source.plan) == {"train": {"a", "b"}}


def test_missing_and_unlisted_images_and_lost_classes_are_told(tmp_path: Path) -> None:
    rows = table("path,label").decode().splitlines()
    text = "\n".join([*rows[:-1], "gone.png,owl"]).encode()
    plan = planned(tmp_path, {"labels.csv": text})
    assert plan.effects == (
        "1 row of the table left out, because the images are not there.",
        "1 image left out, because no row of the table names them.",
    )
    assert plan.lost == ("owl",)


def test_whole_numbers_that_a_spreadsheet_wrote_as_decimals_are_read_as_such(tmp_path: Path) -> None:
    text = table("path,label").replace(b",cat", b",1.0").replace(b",dog", b",2.0")
    plan = planned(tmp_path, {"labels.csv": text})
    assert classes(plan) == {"train": {"1", "2"}}
    assert "Labels such as 1.0 were read as whole numbers, such as 1." in plan.notes


def test_a_tsv_is_a_table(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"labels.tsv": table("path,label").replace(b",", b"\t")})
    assert classes(plan) == {"train": {"cat", "dog"}}
    csv = (
        folder_of(tmp_path / "b", {**IMAGES, "labels.tsv": table("path,label").replace(b",", b"\t")})
        / "labels.tsv"
    )
    with open_source(csv) as source:
        assert len(source.plan.placements) == 6


def test_an_uploaded_table_finds_images_by_name(tmp_path: Path) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_bytes(table("filename,class", path="{}.png"))
    with csv_with_zip(csv, zip_of(tmp_path / "a.zip", IMAGES)) as source:
        assert classes(source.plan) == {"train": {"cat", "dog"}}


def test_of_several_columns_the_usual_name_counts() -> None:
    assert roles(["id", "path", "class", "label"]) == {"path": 1, "label": 3}
    assert roles(["a", "b"]) == {}
    assert split_places(["path", "label", "x"], [["a", "b", "train"], ["a", "b", "test"]], (0, 1)) == [2]
    assert split_in(["is_valid"], 0, "True") == "val"
    assert split_in(["is_valid"], 0, "False") == "train"
    assert split_in(["set"], 0, "nonsense") is None


def test_a_table_of_ids_finds_images_by_their_suffix_but_never_outside(tmp_path: Path) -> None:
    csv = (
        folder_of(tmp_path / "b", {**IMAGES, "labels.csv": table("id,label", path="images/{}")})
        / "labels.csv"
    )
    (tmp_path / "b" / "images" / "0.png").unlink()
    (tmp_path / "secret.png").write_bytes(png(9))
    (tmp_path / "b" / "images" / "0.png").symlink_to(tmp_path / "secret.png")
    with open_source(csv) as source:
        assert [place.path for place in source.plan.placements] == [
            f"images/{number}.png" for number in range(1, 6)
        ]


IN_SPLITS = {
    f"{split}/{number}.png": png(number)
    for split, numbers in (("train", range(4)), ("Testing", range(4, 6)))
    for number in numbers
}


@pytest.mark.parametrize("above", ["", "pets/", "data/images/"])
def test_a_table_without_splits_takes_them_from_the_folders_of_the_images(tmp_path: Path, above: str) -> None:
    rows = [f"{path},{'cat' if number % 2 else 'dog'}" for number, path in enumerate(IN_SPLITS)]
    files = {**IN_SPLITS, "labels.csv": "\n".join(["file_name,label", *rows]).encode()}
    with open_source(
        zip_of(tmp_path / "a.zip", {f"{above}{path}": data for path, data in files.items()})
    ) as source:
        plan = source.plan
    assert [
        (place.path.rpartition("/")[0].removeprefix(above), place.split) for place in plan.placements
    ] == [
        *[("train", "train")] * 4,
        *[("Testing", "test")] * 2,
    ]
    assert "The splits were read from the folders “Testing” and “train”." in plan.notes


def test_a_table_that_is_opened_itself_takes_splits_from_folders_too(tmp_path: Path) -> None:
    rows = [f"{path},{'cat' if number % 2 else 'dog'}" for number, path in enumerate(IN_SPLITS)]
    folder = folder_of(tmp_path / "a", {**IN_SPLITS, "labels.csv": "\n".join(["path,label", *rows]).encode()})
    with open_source(folder / "labels.csv") as source:
        assert [place.split for place in source.plan.placements] == ["train"] * 4 + ["test"] * 2


@pytest.mark.parametrize(
    "folders", [("train", "car"), ("train", "training"), ("a", "b")], ids=["one other", "one split", "none"]
)
def test_folders_that_are_not_all_splits_are_none_for_a_table(
    tmp_path: Path, folders: tuple[str, str]
) -> None:
    files = {f"{folder}/{number}.png": png(number) for number, folder in enumerate(folders * 3)}
    rows = [f"{path},{'cat' if number % 3 else 'dog'}" for number, path in enumerate(files)]
    table_file = {"labels.csv": "\n".join(["path,label", *rows]).encode()}
    csv, archive = tmp_path / "labels.csv", zip_of(tmp_path / "a.zip", files)
    csv.write_bytes(table_file["labels.csv"])
    with csv_with_zip(csv, archive) as source:
        assert {place.split for place in source.plan.placements} == {"train"}


@pytest.mark.parametrize("kind", ["zip", "folder", "with a zip", "alone"])
def test_files_without_a_suffix_are_read_by_their_content(tmp_path: Path, kind: str) -> None:
    files = {f"{number}": png(number) for number in range(4)} | {"4": b"no image"}
    rows = [f"{path},{'cat' if int(path) % 2 else 'dog'}" for path in files]
    csv = "\n".join(["path,label", *rows]).encode()
    folder = folder_of(tmp_path / "a", {**files, "labels.csv": csv})
    if kind == "with a zip":
        opening = csv_with_zip(folder / "labels.csv", zip_of(tmp_path / "b.zip", files))
    else:
        data = {"alone": folder / "labels.csv", "folder": folder}.get(kind)
        opening = open_source(data or zip_of(tmp_path / "c.zip", {**files, "labels.csv": csv}))
    with opening as source:
        assert [place.path for place in source.plan.placements] == ["0", "1", "2", "3"]
        assert [entry.path for entry in source.plan.skipped] == ["4"]


IN_FOLDERS = {f"{'ab'[number % 2]}/{number}.png": png(number) for number in range(8)}


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize(
    ("labels", "is_told"),
    [
        (["cat", "cat", "dog", "dog"] * 2, True),
        (["cat", "dog"] * 4, False),
        (["0", "1"] * 4, False),
        (["a", "b"] * 4, False),
        (["one"] * 8, False),
        (["cat", "cat", "dog"], False),
    ],
    ids=["another division", "other names", "numbers", "the same", "one label", "few images"],
)
def test_labels_that_divide_class_folders_in_another_way_are_told(
    tmp_path: Path, kind: str, labels: list[str], is_told: bool
) -> None:
    rows = [f"{path},{label}" for path, label in zip(IN_FOLDERS, labels, strict=False)]
    files = {**IN_FOLDERS, "labels.csv": "\n".join(["path,label", *rows]).encode(), "broken.json": b"{"}
    data = zip_of(tmp_path / "a.zip", files) if kind == "zip" else folder_of(tmp_path / "a", files)
    with open_source(data) as source:
        assert {place.class_name for place in source.plan.placements} == {"a", "b"}
        told = [effect for effect in source.plan.effects if "labels.csv gives the images other" in effect]
        assert (len(told) == 1) == is_told
        assert not told or "“cat” and “dog”" in told[0]


def test_a_table_that_cannot_be_read_does_not_stop_class_folders(tmp_path: Path) -> None:
    huge = b"path,label\n" + b"x" * (70 << 20)  # no image, so it is never read
    for number, table in enumerate([b"path,label\n1.png", huge]):
        with open_source(zip_of(tmp_path / f"{number}.zip", {**IN_FOLDERS, "labels.csv": table})) as source:
            assert len(source.plan.placements) == len(IN_FOLDERS)
