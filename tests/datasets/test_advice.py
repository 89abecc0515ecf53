"""What should be known before training is said in a sentence."""

from __future__ import annotations

from pathlib import Path

from loravit_web.datasets import DatasetStore, advice

from .makers import pictures, zip_of


def told(tmp_path: Path, **counts: int) -> tuple[str, ...]:
    files = pictures(f"{name}/{n}.png" for name, count in counts.items() for n in range(count))
    return advice(DatasetStore(tmp_path / "s", workers=1).import_source(zip_of(tmp_path / "a.zip", files)))


def test_enough_and_even_classes_need_no_word(tmp_path: Path) -> None:
    assert told(tmp_path, cat=10, dog=20) == ()


def test_small_classes_are_named(tmp_path: Path) -> None:
    (sentence,) = told(tmp_path, cat=9, dog=20)
    assert sentence == "Few training images: “cat” has 9; at least 10 in each class is better."


def test_many_small_classes_are_counted(tmp_path: Path) -> None:
    (sentence,) = told(tmp_path, **{f"c{n}": 3 for n in range(8)})
    assert "and 3 more" in sentence


def test_an_uneven_set_is_told_with_its_numbers(tmp_path: Path) -> None:
    (sentence,) = told(tmp_path, cat=10, dog=100)
    assert sentence.startswith("“dog” has 100 training images and “cat” 10")
