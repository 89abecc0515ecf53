"""Small datasets, quick recipes and reporters that can interfere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loravit_web.adapters import ViTAdapterConfig
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.training.data import TrainingData, split_data
from loravit_web.training.progress import SilentReporter
from loravit_web.training.recipe import Recipe
from tests.adapters.conftest import one_thread
from tests.conftest import ColourFolders

__all__ = ["one_thread"]

QUICK = Recipe(
    adapter=ViTAdapterConfig(r=4, alpha=8, blocks=2, dropout=0.1),
    image_size=32,
    epochs=4,
    min_steps=0,
    batch_size=6,
    lr=5e-3,
    patience=100,
    validation_fraction=0.25,
)


def quick(**changes: Any) -> Recipe:
    return replace(QUICK, **changes)


class Recorder(SilentReporter):
    """Remembers what it is told, and calls `meanwhile` at each report."""

    def __init__(self, meanwhile: Callable[[str], None] = lambda _stage: None) -> None:
        self.stages: list[str] = []
        self.fractions: list[float] = []
        self.measured: dict[int, dict[str, float]] = {}
        self.keep = False
        self._meanwhile = meanwhile

    def report(self, stage: str, fraction: float) -> None:
        self.stages.append(stage)
        self.fractions.append(fraction)
        self._meanwhile(stage)

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        self.measured[epoch] = dict(values)

    def stop_and_keep(self) -> bool:
        return self.keep


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "datasets", workers=1)


@pytest.fixture
def dataset(store: DatasetStore, colour_folders: ColourFolders) -> ImageDataset:
    """Twelve red and twelve green pictures, and four more of each to test on."""
    return store.import_source(colour_folders(per_class=12, test=4), name="colours")


@pytest.fixture
def data(dataset: ImageDataset) -> TrainingData:
    return split_data(dataset, QUICK)
