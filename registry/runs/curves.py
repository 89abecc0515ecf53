"""Curves of many points, thinned where they are stored.

The steps of a metric are cut into buckets of equal width, as the columns of a plot are. Of each bucket its
smallest and its largest value stay, and its first value that isn't finite; the first and the last point of
all stay too. So a plot of the rest looks like one of everything, and no peak, dip or NaN goes missing.
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
    """The points of each metric in order of their steps, at most `max_points` of each; or InvalidQuery."""
    if max_points < FEWEST:
        raise InvalidQuery(f"a curve of {max_points} points is not possible: ask for at least {FEWEST}")
    spans = _spans(session, run_id, keys, max_points)
    whole = metrics.series(session, run_id, [span.key for span in spans if not span.long])
    return {
        span.key: _thinned(session, run_id, span, max_points) if span.long else whole[span.key]
        for span in spans
    }


class Span(NamedTuple):
    """One metric: its first and last step, whether it has too many points, and whether any isn't finite."""

    key: str
    low: int
    high: int
    long: bool
    odd: bool


def _spans(session: Session, run_id: str, keys: Collection[str] | None, max_points: int) -> list[Span]:
    """Every metric by name.

    From one name to the next through the primary key, and no point counted beyond `max_points`: to group
    and count all takes several times as long.
    """
    key, step, of_run = RunMetricRow.key, RunMetricRow.step, RunMetricRow.run_id == run_id
    names = select(func.min(key).label("key")).where(of_run).cte("names", recursive=True)
    following = select(func.min(key)).where(of_run, key > names.c.key).correlate(names).scalar_subquery()
    names = names.union_all(select(following).where(names.c.key.is_not(None)))

    def of_name(asked: Select[Any]) -> ScalarSelect[Any]:
        return asked.where(of_run, key == names.c.key).correlate(names).scalar_subquery()

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
    """What stays of a long metric."""
    step, value = RunMetricRow.step, RunMetricRow.value
    of_metric = (RunMetricRow.run_id == run_id, RunMetricRow.key == span.key)
    buckets = (max_points - ENDS) // (EXTREMES + NOT_FINITE if span.odd else EXTREMES)
    width = (span.high - span.low) // buckets + 1
    number = select(literal(0, BigInt).label("number")).cte("buckets", recursive=True)
    number = number.union_all(select(number.c.number + 1).where(number.c.number < buckets - 1))
    begin = literal(span.low, BigInt) + number.c.number * width

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

    kept = [
        select(literal(span.low, BigInt)),
        select(literal(span.high, BigInt)),
        select(first(value.is_not(None), value.asc())).select_from(number),
        select(first(value.is_not(None), value.desc())).select_from(number),
    ]
    if span.odd:
        kept.append(select(first(value.is_(None))).select_from(number))
    points = select(*metrics.POINT).where(*of_metric, step.in_(union(*kept))).order_by(step)
    return [metrics.point_of(*columns) for columns in session.execute(points)]
