"""Curves of many points, thinned where they are stored.

The steps of a metric are cut into buckets of equal width, as the columns of a plot are. Of each bucket its
smallest and its largest value stay, and its first value that isn't finite; the first and the last point of
all stay too. So a plot of the rest looks like one of everything, and no peak, dip or NaN goes missing.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, func, literal, or_, select, union
from sqlalchemy.orm import Session

from registry import metrics
from registry.db import BigInt
from registry.errors import InvalidQuery
from registry.models import RunMetricRow
from registry.records import MetricPoint

ENDS = 2
OF_A_BUCKET = 3
FEWEST = ENDS + OF_A_BUCKET


def sampled(session: Session, run_id: str, keys: Collection[str] | None, max_points: int) -> metrics.Series:
    """The points of each metric in order of their steps, at most `max_points` of each; or InvalidQuery."""
    if max_points < FEWEST:
        raise InvalidQuery(f"a curve of {max_points} points is not possible: ask for at least {FEWEST}")
    spans = (
        select(RunMetricRow.key, func.count(), func.min(RunMetricRow.step), func.max(RunMetricRow.step))
        .where(RunMetricRow.run_id == run_id)
        .group_by(RunMetricRow.key)
        .order_by(RunMetricRow.key)
    )
    if keys is not None:
        spans = spans.where(RunMetricRow.key.in_(keys))
    rows = session.execute(spans).all()
    whole = metrics.series(session, run_id, [key for key, n, *_ in rows if n <= max_points])
    return {
        key: whole[key] if n <= max_points else _thinned(session, run_id, key, low, high, max_points)
        for key, n, low, high in rows
    }


def _thinned(
    session: Session, run_id: str, key: str, low: int, high: int, max_points: int
) -> list[MetricPoint]:
    """What stays of one metric whose steps reach from `low` to `high`."""
    buckets = (max_points - ENDS) // OF_A_BUCKET
    width = (high - low) // buckets + 1
    number = select(literal(0, BigInt).label("number")).cte("buckets", recursive=True)
    number = number.union_all(select(number.c.number + 1).where(number.c.number < buckets - 1))
    begin = literal(low, BigInt) + number.c.number * width
    step, value = RunMetricRow.step, RunMetricRow.value
    of_metric = (RunMetricRow.run_id == run_id, RunMetricRow.key == key)

    def first(condition: ColumnElement[bool], *order: ColumnElement[Any]) -> ScalarSelect[int]:
        # read through the primary key, bucket by bucket: sorting the whole series takes several times as long
        return (
            select(step)
            .where(*of_metric, step >= begin, step < begin + width, condition)
            .order_by(*order, step)
            .limit(1)
            .correlate(number)
            .scalar_subquery()
        )

    kept = union(
        select(first(value.is_not(None), value.asc())).select_from(number),
        select(first(value.is_not(None), value.desc())).select_from(number),
        select(first(value.is_(None))).select_from(number),
    )
    rows = session.scalars(
        select(RunMetricRow)
        .where(*of_metric, or_(step.in_(kept), step.in_((low, high))))
        .order_by(step)
        .execution_options(populate_existing=True)
    )
    return [metrics.point_of(row) for row in rows]
