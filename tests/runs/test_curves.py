"""Curves over one another: smoothed without a false start, on axes that stay put."""

from __future__ import annotations

import math

import pytest

from loravit_web.runs.curves import limits, metric_keys, overlay, run_label, smoothed
from registry import MetricPoint, Registry
from tests.training.conftest import Queue, dataset, queue, registry, store

__all__ = ["dataset", "queue", "registry", "store"]


def test_no_smoothing_leaves_the_values_and_more_of_it_draws_them_together() -> None:
    points = [MetricPoint(step, value) for step, value in enumerate((1.0, 3.0, 1.0))]
    assert smoothed(points, 0.0) == [1.0, 3.0, 1.0]
    heavy = smoothed(points, 0.9)
    assert heavy[0] == pytest.approx(1.0)
    assert max(heavy) - min(heavy) < 1.1


def test_limits_are_round_and_those_of_accuracies_never_move() -> None:
    assert limits("val_accuracy", [0.7, 0.8]) == (0.0, 1.0)
    assert limits("val_loss", [0.31, 2.31]) == (0.0, pytest.approx(2.4))
    assert limits("val_loss", [0.31, 2.35]) == (0.0, pytest.approx(2.4))
    assert limits("val_loss", []) == (0.0, 1.0)
    low, high = limits("shift", [-0.5, -0.5])
    assert low <= -0.5 < 0 <= high


def test_curves_are_laid_over_one_another_without_nan_and_who_has_none_is_named(
    registry: Registry, queue: Queue
) -> None:
    runs = [queue(slug=slug, worker="w") for slug in ("ants", "bees", "cats")]
    for step, value in enumerate((0.9, math.nan, 0.5)):
        registry.runs.log_metrics(runs[0].id, step, {"val_loss": value, "linear_probe_accuracy": 0.5})
        registry.runs.log_metrics(runs[1].id, step, {"val_loss": 2 * (value if value == value else 1.0)})
    shown = overlay(registry, runs, "val_loss")
    first = [(point.x, point.value) for point in shown.points if point.place == 1]
    assert first == [(0, 0.9), (2, 0.5)]
    assert len(shown.points) == 5
    assert shown.limits[1] >= 2.0
    assert shown.missing == (run_label(runs[2]),)
    assert metric_keys(registry, [run.id for run in runs]) == ["val_loss"]


def test_along_time_each_run_begins_at_nought(registry: Registry, queue: Queue) -> None:
    run = queue(worker="w")
    for step in (1, 2):
        registry.runs.log_metrics(run.id, step, {"val_loss": 1.0})
    xs = [point.x for point in overlay(registry, [run], "val_loss", axis="minutes").points]
    assert xs[0] == 0.0 <= xs[1] < 1.0
