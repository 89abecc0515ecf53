"""Curves of several runs over one another: smoothed, by epoch or by time, on axes that stay put."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from registry import MetricPoint, Registry, Run

Axis = Literal["epoch", "minutes"]
MOST_RUNS = 6
"""So many colours can be told apart."""
MAX_POINTS = 500
"""Of each curve: more than a plot can show."""
LABELS = {
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "lr": "learning rate",
}
LEVELS = frozenset({"linear_probe_accuracy"})
"""Metrics of a single point, which no curve can show."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of a plot."""

    x: float
    value: float
    run: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """Curves of one metric and the limits of their axis; ``missing`` are runs that never logged it."""

    points: tuple[CurvePoint, ...]
    limits: tuple[float, float]
    missing: tuple[str, ...]


def run_label(run: Run) -> str:
    """How a plot and a table name a run."""
    return f"{run.title} · {run.id[:8]}"


def metric_keys(registry: Registry, run_ids: Iterable[str]) -> list[str]:
    """What the runs logged as curves, those with a label first."""
    found = {key for run_id in run_ids for key in registry.runs.summary(run_id)} - LEVELS
    known = [key for key in LABELS if key in found]
    return [*known, *sorted(found - set(known))]


def overlay(
    registry: Registry, runs: Sequence[Run], key: str, *, axis: Axis = "epoch", smoothing: float = 0.0
) -> Overlay:
    """The curves of one metric.

    Args:
        smoothing: 0 for the values as they are, up to just below 1 for a moving average of ever more.
    """
    points: list[CurvePoint] = []
    missing = []
    values: list[float] = []
    for run in runs:
        series = registry.runs.metrics(run.id, [key], max_points=MAX_POINTS).get(key, [])
        finite = [point for point in series if math.isfinite(point.value)]
        if not finite:
            missing.append(run_label(run))
            continue
        steps = [point.step for point in finite]
        places = _minutes(registry.runs.logged_at(run.id, key, steps), steps) if axis == "minutes" else steps
        smooth = smoothed(finite, smoothing)
        points += [CurvePoint(x, y, run_label(run)) for x, y in zip(places, smooth, strict=True)]
        values += [point.value for point in finite]
    return Overlay(tuple(points), limits(key, values), tuple(missing))


def smoothed(points: Sequence[MetricPoint], weight: float) -> list[float]:
    """An exponential moving average that is not drawn towards its beginning."""
    shown: list[float] = []
    average, share = 0.0, 0.0
    for point in points:
        average = weight * average + (1 - weight) * point.value
        share = weight * share + (1 - weight)
        shown.append(average / share)
    return shown


def limits(key: str, values: Sequence[float]) -> tuple[float, float]:
    """Round limits around all values: they move only when a value leaves them."""
    if key.endswith("accuracy"):
        return 0.0, 1.0
    if not values:
        return 0.0, 1.0
    low, high = min(0.0, *values), max(0.0, *values)
    span = high - low or 1.0
    unit = 10.0 ** math.floor(math.log10(span))
    step = next(unit * part for part in (0.1, 0.2, 0.5, 1.0) if span / (unit * part) <= 20)
    return math.floor(low / step) * step, math.ceil(high / step) * step or 1.0


def _minutes(moments: dict[int, datetime], steps: Sequence[int]) -> list[float]:
    """Since the first point; a pause before a resumption counts as any other time."""
    first = min(moments.values())
    return [(moments[step] - first).total_seconds() / 60 for step in steps]
