"""Datasets from the Hub, read through a loader without a network."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage

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
        return {"picture": PilImage.open(BytesIO(png(self.first + key))), "label": self.labels[key]}


def test_splits_and_labels_are_imported(tmp_path: Path) -> None:
    splits = {"train": Table(0, [0, 1, 0, 1, -1]), "validation": Table(50, [1]), "extra": Table(90, [0])}
    source = from_hub("owner/pets", lambda name: splits)
    dataset = DatasetStore(tmp_path / "store", workers=1).import_opened(source)
    assert (dataset.name, dataset.classes) == ("owner/pets", ("cat", "dog"))
    assert [dataset.classes[item.label] for item in dataset.select("train")] == ["cat", "dog", "cat", "dog"]
    assert len(dataset.select("val")) == 1
    assert {one.path: one.reason for one in dataset.skipped} == {
        "extra": "this split is not train, validation or test",
        "train/4.png": "it has no label",
    }


def test_a_dataset_without_labeled_images_is_rejected() -> None:
    table = Table(0, [0], {"text": object(), "label": ClassLabel(["a"])})
    with pytest.raises(
        HubDatasetUnusable,
        match="The dataset “owner/texts” does not have exactly one column of images and a column of labels",
    ):
        from_hub("owner/texts", lambda name: {"train": table})


@pytest.mark.parametrize("name", ["", "a/b/c", "https://elsewhere/x", "../x y"])
def test_an_invalid_name_is_rejected_without_a_request(name: str) -> None:
    with pytest.raises(HubDatasetUnusable, match="owner/name"):
        from_hub(name, lambda _: pytest.fail("loaded it"))


def test_a_failed_download_is_an_error() -> None:
    def fail(_name: str) -> Mapping[str, Any]:
        raise ConnectionError("secret host")

    with pytest.raises(
        HubDatasetUnusable, match=r"The dataset “owner/pets” cannot be loaded \(ConnectionError\)"
    ) as raised:
        from_hub("owner/pets", fail)
    assert "secret" not in str(raised.value)


def test_a_missing_package_is_reported_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(HubPackageMissing, match="pip install datasets"):
        from_hub("owner/pets")
