"""Datasets of the Hub, read through a loader that needs no network."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pictures

from loravit_web.datasets import DatasetStore, from_hub
from loravit_web.datasets.errors import HubDatasetUnusable, HubPackageMissing
from tests.datasets.makers import png


class Image:
    """What the package calls a column of images; only its name counts."""


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class Table:
    """A split: columns by name, rows by number."""

    def __init__(self, first: int, labels: list[int], features: Mapping[str, Any] | None = None) -> None:
        self.features = features or {"picture": Image(), "label": ClassLabel(["cat", "dog"])}
        self.first, self.labels = first, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: Any) -> Any:
        if key == "label":
            return self.labels
        return {"picture": Pictures.open(BytesIO(png(self.first + key))), "label": self.labels[key]}


def test_splits_and_labels_are_taken_over(tmp_path: Path) -> None:
    splits = {"train": Table(0, [0, 1, 0, 1, -1]), "validation": Table(50, [1]), "extra": Table(90, [0])}
    source = from_hub("owner/pets", lambda name: splits)
    dataset = DatasetStore(tmp_path / "store", workers=1).import_opened(source)
    assert (dataset.name, dataset.classes) == ("owner/pets", ("cat", "dog"))
    assert [dataset.classes[item.label] for item in dataset.select("train")] == ["cat", "dog", "cat", "dog"]
    assert len(dataset.select("val")) == 1
    assert {one.path: one.reason for one in dataset.skipped} == {
        "extra": "this split is none of train, validation and test",
        "train/4.png": "it has no label",
    }


def test_a_dataset_without_labelled_images_is_refused() -> None:
    table = Table(0, [0], {"text": object(), "label": ClassLabel(["a"])})
    with pytest.raises(HubDatasetUnusable, match="made for image classification"):
        from_hub("owner/texts", lambda name: {"train": table})


@pytest.mark.parametrize("name", ["", "a/b/c", "https://elsewhere/x", "../x y"])
def test_what_is_no_id_is_refused_before_anything_is_asked(name: str) -> None:
    with pytest.raises(HubDatasetUnusable, match="owner/name"):
        from_hub(name, lambda _: pytest.fail("asked for it"))


def test_a_failed_fetch_is_told_in_one_sentence() -> None:
    def fail(_name: str) -> Mapping[str, Any]:
        raise ConnectionError("secret host")

    with pytest.raises(HubDatasetUnusable, match=r"can't be fetched \(ConnectionError\)") as raised:
        from_hub("owner/pets", fail)
    assert "secret" not in str(raised.value)


def test_without_the_package_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(HubPackageMissing, match="pip install datasets"):
        from_hub("owner/pets")
