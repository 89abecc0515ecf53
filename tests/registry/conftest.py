"""A registry in a temporary folder, and makers of the smallest valid things to put in it."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from registry import Base, Dataset, DatasetClass, NewBase, NewDataset, NewRun, NewVersion, Registry


class FakeClock:
    """Moves one second at each look, so that nothing happens at the same moment unless a test wants it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self.step = timedelta(seconds=1)

    def __call__(self) -> datetime:
        self.now += self.step
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'registry.db'}"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, migrated once and copied for each test."""
    folder = tmp_path_factory.mktemp("migrated")
    Registry.open(f"sqlite:///{folder / 'registry.db'}", folder).close()
    return folder / "registry.db"


@pytest.fixture
def registry(url: str, tmp_path: Path, clock: FakeClock, migrated: Path) -> Iterator[Registry]:
    (tmp_path / "data").mkdir()
    shutil.copy(migrated, tmp_path / "data")
    with Registry.open(url, tmp_path / "artifacts", clock=clock) as opened:
        yield opened


@pytest.fixture
def base(registry: Registry) -> Base:
    return registry.bases.ensure(NewBase("vit_small", "a" * 64, "vit_small_patch14_dinov2", 384, 12))


@pytest.fixture
def dataset(registry: Registry) -> Dataset:
    classes = (DatasetClass("cat", 6, 2, 1), DatasetClass("dog", 5, 2, 0))
    return registry.datasets.ensure(NewDataset("f" * 64, "pets", "zip", classes))


@pytest.fixture
def new_run(base: Base, dataset: Dataset) -> Callable[..., NewRun]:
    def make(**changes: Any) -> NewRun:
        fields: dict[str, Any] = {
            "slug": "pets",
            "title": "Pets",
            "base_id": base.id,
            "dataset_id": dataset.id,
            "seed": 1,
            "config": {"epochs": 5, "adapter": {"r": 8, "targets": ["q", "v"]}},
            "environment": {"python": "3.11"},
        }
        return NewRun(**{**fields, **changes})

    return make


@pytest.fixture
def new_version(base: Base, dataset: Dataset) -> Callable[..., NewVersion]:
    def make(weights: bytes = b"weights", **changes: Any) -> NewVersion:
        fields: dict[str, Any] = {
            "slug": "pets",
            "title": "Pets",
            "description": "Cats and dogs.",
            "run_id": None,
            "base_id": base.id,
            "dataset_id": dataset.id,
            "adapter_type": "LORA",
            "n_params": 1000,
            "image_size": 112,
            "class_names": ("cat", "dog"),
            "config": {"r": 8},
            "files": {"adapter_model.safetensors": weights, "task.json": b"{}"},
        }
        return NewVersion(**{**fields, **changes})

    return make
