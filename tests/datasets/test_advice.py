"""Problems of a dataset are reported as sentences."""

from __future__ import annotations

from pathlib import Path

from loravit_web.datasets import DatasetStore, advice

from .makers import images, zip_of


def advice_for(tmp_path: Path, **counts: int) -> tuple[str, ...]:
    files = images(f"{name}/{n}.png" for name, count in counts.items() for n in range(count))
    return advice(DatasetStore(tmp_path / "s", workers=1).import_source(zip_of(tmp_path / "a.zip", files)))


def test_large_balanced_classes_give_no_warning(tmp_path: Path) -> None:
    assert advice_for(tmp_path, cat=10, dog=20) == ()


def test_small_classes_are_named(tmp_path: Path) -> None:
    (sentence,) = advice_for(tmp_path, cat=9, dog=20)
    assert sentence == "Few training images: “cat” has 9. Add images until each class has at least 10."


def test_many_small_classes_are_counted(tmp_path: Path) -> None:
    (sentence,) = advice_for(tmp_path, **{f"c{n}": 3 for n in range(8)})
    assert "and 3 more" in sentence


def test_an_imbalance_is_reported_with_its_numbers(tmp_path: Path) -> None:
    (sentence,) = advice_for(tmp_path, cat=10, dog=100)
    assert sentence.startswith("“dog” has 100 training images, “cat” only 10")
