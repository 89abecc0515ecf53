"""The series of numbers that a run logs, and their summary."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry.database.db import insert_into
from registry.database.models import RunMetricRow, RunSummaryRow
from registry.records import MetricPoint, MetricSummary

Series = dict[str, list[MetricPoint]]
"""The points of each metric in order of their steps."""

# columns, as long curves would take several times as long to make as whole rows
POINT = (RunMetricRow.step, RunMetricRow.value, RunMetricRow.nonfinite)


def log(session: Session, run_id: str, step: int, values: Mapping[str, float], ts: datetime) -> None:
    """Store the values of one step; a step that was logged before, as after a resume, is overwritten."""
    numbers = {key: float(value) for key, value in values.items()}
    at_step = (
        select(RunMetricRow.key).filter_by(run_id=run_id, step=step).where(RunMetricRow.key.in_(numbers))
    )
    overwritten = set(session.scalars(at_step))
    summaries = summary(session, run_id)
    for key, number in numbers.items():
        _store_point(session, run_id, key, MetricPoint(step, number), ts)
        if key in overwritten:
            # the old value may have been an extreme, so only the whole series tells
            after = summarise(series(session, run_id, [key]).get(key, []))
        else:
            after = extend(summaries.get(key), MetricPoint(step, number))
        _store_summary(session, run_id, key, after)


def rewind(session: Session, run_id: str, step: int) -> None:
    """Forget every value of a later step, and bring the summaries in line."""
    later = select(RunMetricRow.key).filter_by(run_id=run_id).where(RunMetricRow.step > step).distinct()
    shortened = session.scalars(later).all()
    session.execute(delete(RunMetricRow).filter_by(run_id=run_id).where(RunMetricRow.step > step))
    for key in shortened:
        _store_summary(session, run_id, key, summarise(series(session, run_id, [key]).get(key, [])))


def series(session: Session, run_id: str, keys: Collection[str] | None = None) -> Series:
    """The points of each metric in order of their steps; all metrics when `keys` is None."""
    statement = (
        select(RunMetricRow.key, *POINT)
        .where(RunMetricRow.run_id == run_id)
        .order_by(RunMetricRow.key, RunMetricRow.step)
    )
    if keys is not None:
        statement = statement.where(RunMetricRow.key.in_(keys))
    points: Series = {}
    for key, step, value, nonfinite in session.execute(statement):
        points.setdefault(key, []).append(point_of(step, value, nonfinite))
    return points


def moments(session: Session, run_id: str, key: str, steps: Collection[int]) -> dict[int, datetime]:
    """When the values of these steps were logged."""
    found = select(RunMetricRow.step, RunMetricRow.ts).where(
        RunMetricRow.run_id == run_id, RunMetricRow.key == key, RunMetricRow.step.in_(steps)
    )
    return {step: moment for step, moment in session.execute(found)}  # noqa: C416 - rows are no pairs to mypy


def point_of(step: int, value: float | None, nonfinite: str | None) -> MetricPoint:
    """The columns `POINT` as they leave the package."""
    number = float(nonfinite) if nonfinite is not None else value
    assert number is not None  # a constraint of the table
    return MetricPoint(step, number)


def summary(session: Session, run_id: str) -> dict[str, MetricSummary]:
    """The stored summary of each metric that has a finite value."""
    rows = session.scalars(select(RunSummaryRow).filter_by(run_id=run_id).order_by(RunSummaryRow.key))
    return {row.key: summary_of(row) for row in rows}


def summary_of(row: RunSummaryRow) -> MetricSummary:
    """The row as it leaves the package."""
    return MetricSummary(
        last=row.last,
        last_step=row.last_step,
        minimum=row.minimum,
        min_step=row.min_step,
        maximum=row.maximum,
        max_step=row.max_step,
    )


def summarise(points: Iterable[MetricPoint]) -> MetricSummary | None:
    """The summary of a whole series; None when none of its values is finite."""
    result: MetricSummary | None = None
    for point in points:
        result = extend(result, point)
    return result


def extend(before: MetricSummary | None, point: MetricPoint) -> MetricSummary | None:
    """The summary after a point of a new step, in whatever order; a non-finite value changes nothing."""
    step, value = point.step, point.value
    if not math.isfinite(value):
        return before
    if before is None:
        return MetricSummary(value, step, value, step, value, step)
    after = before
    if step > before.last_step:
        after = replace(after, last=value, last_step=step)
    if (value, step) < (before.minimum, before.min_step):
        after = replace(after, minimum=value, min_step=step)
    if (-value, step) < (-before.maximum, before.max_step):
        after = replace(after, maximum=value, max_step=step)
    return after


def _store_point(session: Session, run_id: str, key: str, point: MetricPoint, ts: datetime) -> None:
    finite = math.isfinite(point.value)
    columns = {
        "value": point.value if finite else None,
        "nonfinite": None if finite else str(point.value),
        "ts": ts,
    }
    session.execute(
        insert_into(RunMetricRow)
        .values(run_id=run_id, key=key, step=point.step, **columns)
        .on_conflict_do_update(index_elements=["run_id", "key", "step"], set_=columns)
    )


def _store_summary(session: Session, run_id: str, key: str, after: MetricSummary | None) -> None:
    if after is None:
        session.execute(delete(RunSummaryRow).filter_by(run_id=run_id, key=key))
        return
    columns = asdict(after)
    session.execute(
        insert_into(RunSummaryRow)
        .values(run_id=run_id, key=key, **columns)
        .on_conflict_do_update(index_elements=["run_id", "key"], set_=columns)
    )
