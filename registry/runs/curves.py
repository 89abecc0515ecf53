"""Curves with a limited number of points, selected in the database.

The steps of a metric are divided into buckets of equal width, like the columns of a plot. The smallest and
the largest value of each bucket are kept, as are its first non-finite value and the first and the last point
of the curve. So the plot looks like that of the whole curve, and no peak, dip or NaN is lost.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, literal, select, union
from sqlalchemy.orm import Session

from registry.database.db import BigInt
from registry.database.models import RunMetricRow
from registry.errors import InvalidQuery
from registry.records import MetricPoint
from registry.runs import metrics

ENDS = 2
EXTREMES = 2
NOT_FINITE = 1
FEWEST = ENDS + EXTREMES + NOT_FINITE


def sampled(session: Session, run_id: str, keys: Collection[str] | None, max_points: int) -> metrics.Series:
    """Return at most `max_points` points of each metric, sorted by step.

    Raises:
        InvalidQuery: if `max_points` is less than 5.
    """
    if max_points < FEWEST:
        raise InvalidQuery(f"a curve cannot have {max_points} points. Ask for at least {FEWEST}")
    spans = _spans(session, run_id, keys, max_points)
    complete = metrics.series(session, run_id, [span.key for span in spans if not span.is_long])
    return {
        span.key: _thinned(session, run_id, span, max_points) if span.is_long else complete[span.key]
        for span in spans
    }


class Span(NamedTuple):
    """The extent of a metric.

    Attributes:
        low: the first step.
        high: the last step.
        is_long: whether it has more points than allowed.
        has_nonfinite: whether any value is not finite.
    """

    key: str
    low: int
    high: int
    is_long: bool
    has_nonfinite: bool


def _spans(session: Session, run_id: str, keys: Collection[str] | None, max_points: int) -> list[Span]:
    """Return the extent of every metric, sorted by name.

    The query goes from one name to the next through the primary key, and counts at most `max_points` points
    of each: grouping and counting all of them takes several times as long.
    """
    key, step, of_run = RunMetricRow.key, RunMetricRow.step, RunMetricRow.run_id == run_id
    names = select(func.min(key).label("key")).where(of_run).cte("names", recursive=True)
    following = select(func.min(key)).where(of_run, key > names.c.key).correlate(names).scalar_subquery()
    names = names.union_all(select(following).where(names.c.key.is_not(None)))

    def of_name(query: Select[Any]) -> ScalarSelect[Any]:
        return query.where(of_run, key == names.c.key).correlate(names).scalar_subquery()

    found = select(
        names.c.key,
        of_name(select(func.min(step))),
        of_name(select(func.max(step))),
        of_name(select(step).order_by(step).offset(max_points).limit(1)).is_not(None),
        of_name(select(step).where(RunMetricRow.value.is_(None)).limit(1)).is_not(None),
    )
    found = found.where(names.c.key.is_not(None)).order_by(names.c.key)
    if keys is not None:
        found = found.where(names.c.key.in_(keys))
    return [Span(*row) for row in session.execute(found)]


def _thinned(session: Session, run_id: str, span: Span, max_points: int) -> list[MetricPoint]:
    """Return the points that are kept of a long metric."""
    step, value = RunMetricRow.step, RunMetricRow.value
    of_metric = (RunMetricRow.run_id == run_id, RunMetricRow.key == span.key)
    buckets = (max_points - ENDS) // (EXTREMES + NOT_FINITE if span.has_nonfinite else EXTREMES)
    width = (span.high - span.low) // buckets + 1
    number = select(literal(0, BigInt).label("number")).cte("buckets", recursive=True)
    number = number.union_all(select(number.c.number + 1).where(number.c.number < buckets - 1))
    begin = literal(span.low, BigInt) + number.c.number * width

    def first(condition: ColumnElement[bool], *order: ColumnElement[Any]) -> ScalarSelect[int]:
        # bucket by bucket through the primary key: sorting the whole series takes several times as long
        return (
            select(step)
            .where(*of_metric, step >= begin, step < begin + width, condition)
            .order_by(*order, step)
            .limit(1)
            .correlate(number)
            .scalar_subquery()
        )

    kept = [
        select(literal(span.low, BigInt)),
        select(literal(span.high, BigInt)),
        select(first(value.is_not(None), value.asc())).select_from(number),
        select(first(value.is_not(None), value.desc())).select_from(number),
    ]
    if span.has_nonfinite:
        kept.append(select(first(value.is_(None))).select_from(number))
    points = select(*metrics.POINT).where(*of_metric, step.in_(union(*kept))).order_by(step)
    return [metrics.point_of(*columns) for columns in session.execute(points)]
