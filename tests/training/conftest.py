"""Small datasets, quick recipes, queued runs, and reporters that can interfere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.backbones import Base
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.training import loop
from loravit_web.training.data import TrainingData, split_data
from loravit_web.training.evaluation import Evaluation
from loravit_web.training.progress import Curve, SilentReporter
from loravit_web.training.recipe import Recipe
from loravit_web.worker.runner import execute
from registry import DatasetClass, NewBase, NewDataset, NewRun, Registry, Run
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
    floor=False,
)


def quick(**changes: Any) -> Recipe:
    return replace(QUICK, **changes)


class Recorder(SilentReporter):
    """Records the reports, and calls `meanwhile` at each of them."""

    def __init__(self, meanwhile: Callable[[str], None] = lambda _stage: None) -> None:
        self.stages: list[str] = []
        self.fractions: list[float] = []
        self.measured: dict[int, dict[str, float]] = {}
        self.begun: list[Curve] = []
        self.first: list[tuple[Adapter, Evaluation]] = []
        self.keep = False
        self._meanwhile = meanwhile

    def report(self, stage: str, fraction: float) -> None:
        self.stages.append(stage)
        self.fractions.append(fraction)
        self._meanwhile(stage)

    def begin(self, curve: Curve) -> None:
        self.begun.append({epoch: dict(values) for epoch, values in curve.items()})

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        self.measured[epoch] = dict(values)

    def first_answer(self, adapter: Adapter, base: Base, evaluation: Evaluation) -> None:
        self.first.append((adapter, evaluation))

    def stop_and_keep(self) -> bool:
        return self.keep


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "datasets", workers=1)


@pytest.fixture
def dataset(store: DatasetStore, colour_folders: ColourFolders) -> ImageDataset:
    """Return a dataset of twelve red and twelve green images, and four more of each for testing."""
    return store.import_source(colour_folders(per_class=12, test=4), name="colours")


@pytest.fixture
def data(dataset: ImageDataset) -> TrainingData:
    return split_data(dataset, QUICK)


WORKER = "here:1"
RECIPE = quick(epochs=2)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts") as opened:
        yield opened


Queue = Callable[..., Run]


@pytest.fixture
def queue(registry: Registry, dataset: ImageDataset, base: Base) -> Queue:
    """Return a function that queues a run on the colors; with a worker it is already running."""

    def make(
        *, slug: str = "colours", recipe: Recipe = RECIPE, worker: str | None = None, on: Base = base
    ) -> Run:
        record = registry.bases.ensure(
            NewBase(on.name, on.weights_sha256, on.architecture, on.embed_dim, on.depth)
        )
        classes = tuple(
            DatasetClass(name, n["train"], n["val"], n["test"]) for name, n in dataset.counts().items()
        )
        stored = registry.datasets.ensure(NewDataset(dataset.fingerprint, dataset.name, "folder", classes))
        return registry.runs.create(
            NewRun(slug, slug.title(), record.id, stored.id, recipe.seed, recipe.as_json(), {}), worker=worker
        )

    return make


Execute = Callable[..., Run]


@pytest.fixture
def carry_out(registry: Registry, store: DatasetStore, base: Base, tmp_path: Path) -> Execute:
    def carry_out(
        run: Run, terminate: threading.Event | None = None, max_seconds: float | None = None
    ) -> Run:
        return execute(
            run,
            registry=registry,
            datasets=store,
            load=lambda _progress: (base, torch.float32),
            work=tmp_path / "work" / run.id,
            terminate=terminate or threading.Event(),
            max_seconds=max_seconds,
        )

    return carry_out


@pytest.fixture
def after_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], list[int]]:
    """Return a function that acts right after the n-th training step and gives the list of all steps."""
    taken: list[int] = []
    real = loop.TrainingLoop._step

    def at(n: int, act: Callable[[], object]) -> list[int]:
        def step(self: Any, *args: Any) -> torch.Tensor:
            loss = real(self, *args)
            taken.append(len(taken) + 1)
            if len(taken) == n:
                act()
            return loss

        monkeypatch.setattr(loop.TrainingLoop, "_step", step)
        return taken

    return at
