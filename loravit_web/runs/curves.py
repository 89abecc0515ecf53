"""Curves of several runs in one plot: smoothed, by epoch or by time, with stable axis limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from registry import MetricPoint, Registry, Run

Axis = Literal["epoch", "minutes"]
MOST_RUNS = 6
"""Maximum number of runs in a plot: more colors cannot be told apart."""
MAX_POINTS = 500
"""Maximum number of points of a curve: a plot cannot show more."""
LABELS = {
    "val_accuracy": "validation accuracy",
    "val_map": "validation mAP",
    "val_loss": "validation loss",
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "lr": "learning rate",
}
LEVELS = frozenset({"linear_probe_accuracy"})
"""Metrics with a single point, which are not shown as curves."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of a plot.

    Attributes:
        x: Epoch, or minutes since the first point.
        value: Value of the metric.
        run: Label of the run.
        place: Position of the run, from 1.
    """

    x: float
    value: float
    run: str
    place: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """Curves of one metric.

    Attributes:
        points: Points of all curves.
        limits: Lower and upper limit of the vertical axis.
        missing: Labels of the runs that did not log the metric.
    """

    points: tuple[CurvePoint, ...]
    limits: tuple[float, float]
    missing: tuple[str, ...]


def run_label(run: Run) -> str:
    """Return the label of a run: its title with the version that it made, or with its time."""
    return f"{run.title} · {version_of(run) or f'{run.created_at:%m-%d %H:%M}'}"


def version_of(run: Run) -> str:
    """Return the version that a run made, such as ``v2``, or an empty text."""
    return f"v{run.published.rpartition('@')[2]}" if run.published is not None else ""


def metric_keys(registry: Registry, run_ids: Iterable[str]) -> list[str]:
    """Return the metrics that the runs logged as curves, those in `LABELS` first."""
    found = {key for run_id in run_ids for key in registry.runs.summary(run_id)} - LEVELS
    known = [key for key in LABELS if key in found]
    return [*known, *sorted(found - set(known))]


def overlay(
    registry: Registry, runs: Sequence[Run], key: str, *, axis: Axis = "epoch", smoothing: float = 0.0
) -> Overlay:
    """Return the curves of one metric.

    Args:
        registry: Registry with the metrics.
        runs: Runs to plot.
        key: Name of the metric.
        axis: Unit of the horizontal axis.
        smoothing: Weight of the previous average, from 0 (no smoothing) to below 1.
    """
    points: list[CurvePoint] = []
    missing = []
    values: list[float] = []
    for place, run in enumerate(runs, start=1):
        series = registry.runs.metrics(run.id, [key], max_points=MAX_POINTS).get(key, [])
        finite = [point for point in series if math.isfinite(point.value)]
        if not finite:
            missing.append(run_label(run))
            continue
        steps = [point.step for point in finite]
        places = _minutes(registry.runs.logged_at(run.id, key, steps), steps) if axis == "minutes" else steps
        smooth = smoothed(finite, smoothing)
        points += [CurvePoint(x, y, run_label(run), place) for x, y in zip(places, smooth, strict=True)]
        values += [point.value for point in finite]
    return Overlay(tuple(points), limits(key, values), tuple(missing))


def smoothed(points: Sequence[MetricPoint], weight: float) -> list[float]:
    """Return the exponential moving average of points, corrected for its bias towards the start (as in Adam).

    Args:
        points: Points of a curve, in order.
        weight: Weight of the previous average, from 0 (no smoothing) to below 1.
    """
    shown: list[float] = []
    average, share = 0.0, 0.0
    for point in points:
        average = weight * average + (1 - weight) * point.value
        share = weight * share + (1 - weight)
        shown.append(average / share)
    return shown


def limits(key: str, values: Sequence[float]) -> tuple[float, float]:
    """Return round axis limits around all values. They only change when a value exceeds them."""
    if key.endswith(("accuracy", "map")):
        return 0.0, 1.0
    if not values:
        return 0.0, 1.0
    low, high = min(0.0, *values), max(0.0, *values)
    span = high - low or 1.0
    unit = 10.0 ** math.floor(math.log10(span))
    step = next(unit * part for part in (0.1, 0.2, 0.5, 1.0) if span / (unit * part) <= 20)
    return math.floor(low / step) * step, math.ceil(high / step) * step or 1.0


def _minutes(moments: dict[int, datetime], steps: Sequence[int]) -> list[float]:
    """Return the minutes since the first point, including pauses before a run was resumed."""
    first = min(moments.values())
    return [(moments[step] - first).total_seconds() / 60 for step in steps]
