"""Class and split of a path, and the reason why a file is skipped."""

from __future__ import annotations

import pytest

from loravit_web.datasets.errors import AmbiguousLayout
from loravit_web.datasets.layout.interpretation import interpret


def placed(*paths: str) -> dict[str, tuple[str, str]]:
    return {place.path: (place.split, place.class_name) for place in interpret(paths).placements}


def reasons(*paths: str) -> dict[str, str]:
    return {entry.path: entry.reason for entry in interpret(paths).skipped}


def test_each_top_folder_is_a_class() -> None:
    assert placed("cat/1.jpg", "dog/2.PNG") == {"cat/1.jpg": ("train", "cat"), "dog/2.PNG": ("train", "dog")}


def test_folders_inside_a_class_belong_to_it() -> None:
    assert placed("cat/young/a/1.jpg", "dog/1.jpg")["cat/young/a/1.jpg"] == ("train", "cat")


def test_wrapping_folders_are_unwrapped() -> None:
    assert placed("data/v2/cat/1.jpg", "data/v2/dog/1.jpg", "data/readme.txt") == {
        "data/v2/cat/1.jpg": ("train", "cat"),
        "data/v2/dog/1.jpg": ("train", "dog"),
    }


@pytest.mark.parametrize("val", ["val", "Valid", "VALIDATION"])
@pytest.mark.parametrize("wrapper", ["", "pets/"])
def test_split_folders_are_recognized_in_any_case(val: str, wrapper: str) -> None:
    train, held, test = f"{wrapper}Train/cat/1.jpg", f"{wrapper}{val}/cat/2.jpg", f"{wrapper}test/cat/3.jpg"
    assert placed(train, held, test) == {train: ("train", "cat"), held: ("val", "cat"), test: ("test", "cat")}


def test_a_single_train_folder_is_unwrapped() -> None:
    assert placed("train/cat/1.jpg", "train/dog/1.jpg")["train/dog/1.jpg"] == ("train", "dog")


def test_a_class_may_be_called_train() -> None:
    assert placed("train/1.jpg", "plane/1.jpg")["train/1.jpg"] == ("train", "train")


@pytest.mark.parametrize("split", ["train", "Test", "valid"])
def test_split_folders_beside_class_folders_are_rejected(split: str) -> None:
    with pytest.raises(AmbiguousLayout, match=f"“extra” is beside {split}/, .* Move or rename one of them"):
        interpret([f"{split}/cat/1.jpg", f"{split}/dog/1.jpg", "extra/x.jpg"])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("__MACOSX/cat/._1.jpg", "macOS"),
        ("cat/._1.jpg", "hidden"),
        ("cat/.ipynb_checkpoints/1.jpg", "hidden"),
        (".DS_Store", "hidden"),
        ("cat/Thumbs.db", "Windows"),
        ("cat/notes.txt", "not an image"),
        ("cat/more.zip", "not an image"),
        ("cat/1.heic", "HEIC"),
        ("cat/1.xyz", "JPEG, PNG, WEBP"),
        ("cover.jpg", "not inside a class folder"),
    ],
)
def test_skipped_files_are_listed_with_a_reason(path: str, reason: str) -> None:
    found = reasons("cat/1.jpg", "dog/1.jpg", path)
    assert list(found) == [path]
    assert reason in found[path]


def test_images_directly_in_a_split_folder_are_listed() -> None:
    assert (
        "not inside a class folder"
        in reasons("train/cat/1.jpg", "test/cat/1.jpg", "train/x.jpg")["train/x.jpg"]
    )


def test_every_path_is_either_placed_or_listed() -> None:
    paths = ["a/1.jpg", "b/2.jpg", "b/c/d/3.gif", "x.jpg", ".git/config", "a/readme"]
    plan = interpret(paths)
    assert sorted(
        [place.path for place in plan.placements] + [entry.path for entry in plan.skipped]
    ) == sorted(paths)
    assert all(paths[place.index] == place.path for place in plan.placements)


def test_folders_with_the_same_cleaned_name_are_merged() -> None:
    names = {name for _, name in placed("cafe\u0301/1.jpg", "caf\u00e9/2.jpg", "x/1.jpg").values()}
    assert names == {"caf\u00e9", "x"}


def test_a_file_inside_more_folders_than_anybody_makes_is_skipped_at_once() -> None:
    deep, just = "cat/" + "d/" * 29_990 + "1.png", "cat/" + "d/" * 99 + "2.png"
    assert reasons(deep, just, "cat/3.png", "dog/4.png") == {deep: "it is inside more than 100 folders"}
