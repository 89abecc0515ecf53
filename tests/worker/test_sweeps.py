"""Runs of a sweep: those that fall behind stop, the best one publishes, and tokens are computed once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loravit_web.backbones import Base
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.runs.sweeps import Try, queue_tries
from loravit_web.settings.environment import Settings
from loravit_web.training import prefix
from loravit_web.worker import token_cache
from loravit_web.worker.sweeps import Contest, rungs, stays
from loravit_web.worker.worker import Worker
from registry import Registry, Run
from tests.training.conftest import quick


@pytest.mark.parametrize(
    ("epochs", "expected"), [(12, (3, 6)), (4, (1, 2)), (3, (1, 2)), (2, (1,)), (1, ()), (0, ())]
)
def test_a_run_is_compared_after_a_quarter_and_half_of_its_epochs(epochs: int, expected: Any) -> None:
    assert rungs(epochs) == expected


def test_a_run_stays_if_it_is_among_the_best_so_far() -> None:
    def among(own: float, *others: float, keep: float = 0.5) -> bool:
        return stays((own, 0.0), [(other, 0.0) for other in others], keep)

    assert among(0.1)
    assert among(0.6, 0.5)
    assert not among(0.4, 0.5)
    assert among(0.5, 0.5)
    assert among(0.6, 0.7, 0.5, 0.4)
    assert not among(0.6, 0.7, 0.8, 0.9)
    assert among(0.0, 0.7, 0.8, 0.9, keep=1.0)
    assert not stays((0.5, -0.9), [(0.5, -0.2)], 0.5)


@pytest.fixture
def worker(settings: Settings, registry: Registry, store: DatasetStore, base: Base) -> Worker:
    return Worker(settings, registry, store, load=lambda *_: base)


def queued(registry: Registry, base: Base, dataset: ImageDataset, rates: list[float]) -> list[Run]:
    tries = [Try(replace(quick(epochs=4), lr=rate, refit=False), {"lr": rate}) for rate in rates]
    return queue_tries(registry, base, dataset, "colours", tries, actor="ann")


def test_a_sweep_publishes_its_best_run_and_stops_those_that_fall_behind(
    registry: Registry, dataset: ImageDataset, base: Base, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    real = prefix.compute_prefix_tokens

    def compute(base: Base, paths: Any, *args: Any, **kwargs: Any) -> Any:
        computed.append(len(paths))
        return real(base, paths, *args, **kwargs)

    monkeypatch.setattr(token_cache, "compute_prefix_tokens", compute)
    runs = queued(registry, base, dataset, [2e-2, 1e-7, 1e-7])
    worker.work(idle_exit=0.0)
    ended = [registry.runs.get(run.id) for run in runs]
    assert len({run.group for run in ended}) == 1
    assert ended[0].published == "colours@1"
    for run in ended[1:]:
        stopped = run.status == "cancelled" and "is not among the best 50%" in (run.note or "")
        worse = run.status == "completed" and "Not published" in (run.note or "")
        assert (stopped or worse) and run.published is None
    assert any(run.status == "cancelled" for run in ended)
    assert len(registry.catalog.versions("colours")) == 1
    assert len(computed) == 3  # training, validation and test images, once for all runs
    found = registry.runs.list(group=ended[0].group)
    assert {run.id for run in found} == {run.id for run in runs}


def test_two_runs_that_publish_at_the_same_time_leave_the_better_one_as_default(
    registry: Registry, dataset: ImageDataset, base: Base, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Contest, "better", lambda *_: None)  # neither has seen the other
    monkeypatch.setattr(Contest, "check", lambda *_: None)
    queued(registry, base, dataset, [2e-2, 1e-7])
    worker.work(idle_exit=0.0)
    best, second = registry.catalog.version("colours@1"), registry.catalog.version("colours@2")
    scores = [one.evaluation("validation") for one in (best, second)]
    assert scores[0] is not None and scores[1] is not None
    assert scores[0].loss < scores[1].loss
    assert registry.catalog.resolve("colours").ref == "colours@1"
