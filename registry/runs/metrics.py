"""The metrics that a run logs, and their summaries."""

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
"""The points of each metric, sorted by step."""

# single columns, because loading whole rows makes long curves several times slower
POINT = (RunMetricRow.step, RunMetricRow.value, RunMetricRow.nonfinite)


def log(session: Session, run_id: str, step: int, values: Mapping[str, float], ts: datetime) -> None:
    """Store the values of a step. A step that was logged before, such as before a resume, is overwritten."""
    numbers = {key: float(value) for key, value in values.items()}
    at_step = (
        select(RunMetricRow.key).filter_by(run_id=run_id, step=step).where(RunMetricRow.key.in_(numbers))
    )
    overwritten = set(session.scalars(at_step))
    summaries = summary(session, run_id)
    for key, number in numbers.items():
        _store_point(session, run_id, key, MetricPoint(step, number), ts)
        if key in overwritten:
            # the old value may have been an extreme, so the whole series is needed
            after = summarize(series(session, run_id, [key]).get(key, []))
        else:
            after = extend(summaries.get(key), MetricPoint(step, number))
        _store_summary(session, run_id, key, after)


def rewind(session: Session, run_id: str, step: int) -> None:
    """Delete the values of all later steps, and update the summaries."""
    later = select(RunMetricRow.key).filter_by(run_id=run_id).where(RunMetricRow.step > step).distinct()
    shortened = session.scalars(later).all()
    session.execute(delete(RunMetricRow).filter_by(run_id=run_id).where(RunMetricRow.step > step))
    for key in shortened:
        _store_summary(session, run_id, key, summarize(series(session, run_id, [key]).get(key, [])))


def series(session: Session, run_id: str, keys: Collection[str] | None = None) -> Series:
    """Return the points of each metric, sorted by step; of all metrics if `keys` is None."""
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
    """Return when the values of these steps were logged, by step."""
    found = select(RunMetricRow.step, RunMetricRow.ts).where(
        RunMetricRow.run_id == run_id, RunMetricRow.key == key, RunMetricRow.step.in_(steps)
    )
    return {step: moment for step, moment in session.execute(found)}  # noqa: C416 - rows are no pairs to mypy


def point_of(step: int, value: float | None, nonfinite: str | None) -> MetricPoint:
    """Return the columns `POINT` of a row as a record."""
    number = float(nonfinite) if nonfinite is not None else value
    assert number is not None  # a constraint of the table
    return MetricPoint(step, number)


def summary(session: Session, run_id: str) -> dict[str, MetricSummary]:
    """Return the stored summary of each metric that has a finite value."""
    rows = session.scalars(select(RunSummaryRow).filter_by(run_id=run_id).order_by(RunSummaryRow.key))
    return {row.key: summary_of(row) for row in rows}


def summary_of(row: RunSummaryRow) -> MetricSummary:
    """Return the row as a record."""
    return MetricSummary(
        last=row.last,
        last_step=row.last_step,
        minimum=row.minimum,
        min_step=row.min_step,
        maximum=row.maximum,
        max_step=row.max_step,
    )


def summarize(points: Iterable[MetricPoint]) -> MetricSummary | None:
    """Return the summary of a whole series, or None if none of its values is finite."""
    result: MetricSummary | None = None
    for point in points:
        result = extend(result, point)
    return result


def extend(before: MetricSummary | None, point: MetricPoint) -> MetricSummary | None:
    """Return the summary after one more point of a new step. A non-finite value changes nothing.

    Steps may come in any order.

    Args:
        before: the summary so far; None if there was no finite value.
        point: the new point.
    """
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
