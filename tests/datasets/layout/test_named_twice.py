"""Folders that are named for a split of a class, and folders that repeat the classes beside them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from loravit_web.datasets.errors import AmbiguousLayout
from loravit_web.datasets.layout.interpretation import interpret
from loravit_web.datasets.layout.plan import INNERMOST
from loravit_web.datasets.similar import similar_warnings
from tests.datasets.layout.test_layouts import BOTH, PETS, counts, product, read, tree


@pytest.mark.parametrize(
    "form", ["{split}_{name}", "{name}-{split}", "{name} ({split})", "{split} {name}", "{name}.{split}"]
)
@pytest.mark.parametrize("splits", [("train", "test"), ("Training", "Validation"), ("обучение", "тест")])
@pytest.mark.parametrize("wrapper", ["", "data/"])
def test_a_folder_can_name_a_split_and_a_class(form: str, splits: Sequence[str], wrapper: str) -> None:
    folders = [wrapper + form.format(split=split, name=name) for name in PETS for split in splits]
    plan = interpret(tree(*folders))
    held_out = "val" if splits[1] == "Validation" else "test"
    assert counts(plan) == {"train": BOTH, held_out: BOTH}
    assert "Folders were taken for a split of a class each" in plan.notes[-1]


def test_domains_of_an_image_translation_are_classes_with_splits() -> None:
    assert read("trainA", "trainB", "testA", "testB") == {"train": {"A", "B"}, "test": {"A", "B"}}


def test_a_split_can_repeat_the_name_of_its_class() -> None:
    folders = ["cats/cats_train", "cats/cats_test", "dogs/dogs_train", "dogs/dogs_test"]
    assert read(*folders) == {"train": {"cats", "dogs"}, "test": {"cats", "dogs"}}


@pytest.mark.parametrize(
    "folders", [["train_cat", "test_cat", "dog"], ["train_cat", "test_cat", "train_dog", "test_hen"]]
)
def test_folders_of_which_only_some_name_a_split_of_a_class_are_asked_about(folders: list[str]) -> None:
    with pytest.raises(AmbiguousLayout, match="look like splits of one class.*choose level 1"):
        interpret(tree(*folders))
    assert read(*folders, classes_at=1) == {"train": set(folders)}


@pytest.mark.parametrize(
    "classes",
    [["test tube", "beaker"], ["train", "train station"], ["valid pass", "invalid pass"], ["test a", "b"]],
)
def test_classes_with_a_word_of_a_split_stay_classes(classes: list[str]) -> None:
    assert read(*classes) == {"train": set(classes)}


@pytest.mark.parametrize("wrapper", ["", "train/"])
@pytest.mark.parametrize("beside", ["extra", "augmented", "more images"])
def test_a_folder_that_repeats_the_classes_beside_it_is_asked_about(wrapper: str, beside: str) -> None:
    folders = [*product([wrapper + beside], PETS), *(wrapper + name for name in PETS)]
    with pytest.raises(AmbiguousLayout, match=f"“{beside}” is beside “cat” and “dog”"):
        interpret(tree(*folders))
    assert read(*folders, classes_at=INNERMOST) == {"train": BOTH}


@pytest.mark.parametrize("below", ["images", "photos/raw"])
def test_images_of_a_split_without_classes_are_no_class(below: str) -> None:
    plan = interpret(tree("train/cat/images", "train/dog/images", f"val/{below}", "test/images"))
    assert counts(plan) == {"train": BOTH}
    assert [effect.partition(":")[0] for effect in plan.effects] == [
        "There are no test images",
        "There are no validation images",
    ]


def test_a_test_split_alone_is_trained_on_and_told() -> None:
    plan = interpret(tree("test/cat", "test/dog"))
    assert counts(plan) == {"train": BOTH}
    assert plan.notes == (
        "All images are in test/. They are used for training, because there are no others.",
    )


@pytest.mark.parametrize("classes", [["trash", "glass", "paper"], ["Trash", "Recycle"], ["recycled", "new"]])
def test_trash_can_be_a_class(classes: list[str]) -> None:
    assert read(*classes) == {"train": set(classes)}
    assert read(*product(["train", "test"], classes)) == {"train": set(classes), "test": set(classes)}


@pytest.mark.parametrize(
    ("plain", "added"),
    [
        ("cat", "cat - Copy"),
        ("cat", "Cat (2)"),
        ("hot_dog", "hot dog_aug"),
        ("кот", "кот копия"),
        ("ok", "ok new"),
    ],
)
def test_a_class_that_looks_like_more_images_of_another_is_told(plain: str, added: str) -> None:
    (warning,) = similar_warnings([plain, added, "hen"])
    assert warning.startswith(f"“{plain}” and “{added}” are 2 classes, although")


@pytest.mark.parametrize("names", [("new", "old"), ("cat 1", "cat 2"), ("extra", "plain"), ("news", "new")])
def test_other_classes_are_not_told_to_be_alike(names: Sequence[str]) -> None:
    assert similar_warnings(names) == ()
