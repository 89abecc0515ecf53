"""How often each version was asked, by the hour: counters only, never who asked or about what."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from sqlalchemy import ColumnElement, Executable, case, func, select

from registry.catalog.lookup import adapter_row
from registry.database.canonical import number
from registry.database.db import Database, insert_into
from registry.database.models import InferenceStatRow, VersionRow
from registry.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class UsageCount:
    """How a version was asked within one hour: `n` times, of which `errors` got no answer.

    `sum_ms` and `max_ms` are of the answers. `hour` may be any moment within the hour.
    """

    version_id: int
    hour: datetime
    n: int
    errors: int
    sum_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """How something was asked over a span of time; milliseconds are of the answers, None without any."""

    n: int
    errors: int
    mean_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class UsageHour:
    """How something was asked within the hour that begins at `hour`."""

    hour: datetime
    total: UsageTotal


class Usage:
    """The counters. A span of time begins at the hour of `since` and ends before `until`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counts: Iterable[UsageCount]) -> None:
        """Add to the counters, all together or none.

        Counts of a version that isn't there are left out: after a backup was restored there may be some.
        """
        counts = list(counts)
        for one in counts:
            _check(one)
        with self._database.writing() as session:
            asked = {one.version_id for one in counts}
            known = set(session.scalars(select(VersionRow.id).where(VersionRow.id.in_(asked))))
            # in one order, so that two writers never wait for each other
            for one in sorted(counts, key=lambda one: (one.version_id, one.hour)):
                if one.version_id in known:
                    session.execute(_upsert(one))

    def totals(
        self, slug: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> dict[int, UsageTotal]:
        """What each version of an adapter was asked, by its number; without those never asked."""
        with self._database.reading() as session:
            rows = session.execute(
                select(VersionRow.version, *_SUMS)
                .join(VersionRow, VersionRow.id == InferenceStatRow.version_id)
                .where(VersionRow.adapter_id == adapter_row(session, slug).id, *_span(since, until))
                .group_by(VersionRow.version)
                .order_by(VersionRow.version)
            )
            return {version: _total(n, errors, total, most) for version, n, errors, total, most in rows}

    def total(self, slug: str, *, since: datetime | None = None, until: datetime | None = None) -> UsageTotal:
        """What an adapter was asked, all versions together."""
        with self._database.reading() as session:
            sums = session.execute(
                select(*_SUMS)
                .join(VersionRow, VersionRow.id == InferenceStatRow.version_id)
                .where(VersionRow.adapter_id == adapter_row(session, slug).id, *_span(since, until))
            )
            return _total(*sums.one())

    def hours(
        self,
        slug: str,
        *,
        version: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[UsageHour]:
        """What an adapter, or one version of it, was asked hour by hour; without the hours of nothing."""
        with self._database.reading() as session:
            conditions = [VersionRow.adapter_id == adapter_row(session, slug).id, *_span(since, until)]
            if version is not None:
                conditions.append(VersionRow.version == version)
            rows = session.execute(
                select(InferenceStatRow.hour, *_SUMS)
                .join(VersionRow, VersionRow.id == InferenceStatRow.version_id)
                .where(*conditions)
                .group_by(InferenceStatRow.hour)
                .order_by(InferenceStatRow.hour)
            )
            return [UsageHour(hour, _total(n, errors, total, most)) for hour, n, errors, total, most in rows]


_SUMS = (
    func.sum(InferenceStatRow.n),
    func.sum(InferenceStatRow.errors),
    func.sum(InferenceStatRow.sum_ms),
    func.max(InferenceStatRow.max_ms),
)


def hour_of(moment: datetime) -> datetime:
    """The beginning of the moment's hour in UTC."""
    return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)


def _upsert(one: UsageCount) -> Executable:
    statement = insert_into(InferenceStatRow).values(
        version_id=one.version_id,
        hour=hour_of(one.hour),
        n=one.n,
        errors=one.errors,
        sum_ms=float(one.sum_ms),
        max_ms=float(one.max_ms),
    )
    row, new = InferenceStatRow, statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["version_id", "hour"],
        set_={
            "n": row.n + new.n,
            "errors": row.errors + new.errors,
            "sum_ms": row.sum_ms + new.sum_ms,
            # the greater of two values has another name in each database
            "max_ms": case((new.max_ms > row.max_ms, new.max_ms), else_=row.max_ms),
        },
    )


def _check(one: UsageCount) -> None:
    number("a usage count: n", one.n, low=0)
    number("a usage count: errors", one.errors, low=0, high=one.n)
    number("a usage count: sum_ms", one.sum_ms, low=0)
    number("a usage count: max_ms", one.max_ms, low=0)
    if one.hour.tzinfo is None:
        raise InvalidValue("a usage count", f"its hour {one.hour} has no time zone")


def _span(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    conditions = []
    if since is not None:
        conditions.append(InferenceStatRow.hour >= hour_of(since))
    if until is not None:
        conditions.append(InferenceStatRow.hour < until)
    return conditions


def _total(n: int | None, errors: int | None, sum_ms: float | None, max_ms: float | None) -> UsageTotal:
    asked, failed = int(n or 0), int(errors or 0)
    answered = asked - failed
    if not answered:
        return UsageTotal(asked, failed, None, None)
    return UsageTotal(asked, failed, float(sum_ms or 0) / answered, max_ms)
