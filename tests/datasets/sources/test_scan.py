"""Names of classes, and whether a classifier can be trained."""

from __future__ import annotations

import pytest

from loravit_web.datasets.errors import (
    ClassNameTooLong,
    ClassTooSmall,
    ClassWithoutTraining,
    TooFewClasses,
    TooManyClasses,
)
from loravit_web.datasets.sources.scan import check_classes, clean_class_name, sorted_classes


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("  red   fox\n", "red fox"),
        ("cafe\u0301", "caf\u00e9"),
        ("a\x00\x07b", "ab"),
        ("\u202egnp", "gnp"),
        ("<b>bold</b>", "<b>bold</b>"),
    ],
)
def test_class_names_are_cleaned_but_not_restricted(written: str, shown: str) -> None:
    assert clean_class_name(written) == shown


def test_a_long_class_name_is_rejected_and_not_cut() -> None:
    assert clean_class_name("x" * 80) == "x" * 80
    with pytest.raises(ClassNameTooLong, match="81 characters"):
        clean_class_name("x" * 81)


def test_classes_are_sorted_in_natural_order() -> None:
    assert sorted_classes(["b", "10", "A", "2", "c10", "C9", "b"]) == ("2", "10", "A", "b", "C9", "c10")


def test_a_dataset_without_classes_explains_the_layout() -> None:
    with pytest.raises(TooFewClasses, match=r"no class.*cats/1\.jpg.*train/ and test/"):
        check_classes([])


def test_one_class_is_too_few() -> None:
    with pytest.raises(TooFewClasses, match="only the class “cat”"):
        check_classes([("train", "cat")] * 5)


def test_a_class_only_in_test_is_named() -> None:
    with pytest.raises(ClassWithoutTraining, match="“fox” has test images but no training"):
        check_classes([("train", "cat")] * 2 + [("train", "dog")] * 2 + [("test", "fox")])


def test_a_class_with_one_training_image_is_named() -> None:
    with pytest.raises(ClassTooSmall, match="“dog” has only 1 training image"):
        check_classes([("train", "cat")] * 2 + [("train", "dog")])


def test_the_number_of_classes_is_limited() -> None:
    check_classes([("train", str(number)) for number in range(1000)] * 2)
    with pytest.raises(TooManyClasses, match="1001 classes"):
        check_classes([("train", str(number)) for number in range(1001)] * 2)
