"""Usage of each version per hour: only counters, never who sent a request or which image."""

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
    """Requests to a version within an hour.

    Attributes:
        hour: any time within the hour.
        n: the number of requests.
        errors: the number of requests without an answer.
        sum_ms: the total duration of the answers in milliseconds.
        max_ms: the longest duration in milliseconds.
    """

    version_id: int
    hour: datetime
    n: int
    errors: int
    sum_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Requests over a time span.

    Attributes:
        n: the number of requests.
        errors: the number of requests without an answer.
        mean_ms: the mean duration of an answer in milliseconds; None without answers.
        max_ms: the longest duration in milliseconds; None without answers.
    """

    n: int
    errors: int
    mean_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class UsageHour:
    """Requests within the hour that starts at `hour`."""

    hour: datetime
    total: UsageTotal


class Usage:
    """The usage counters. A time span starts at the hour of `since` and ends before the hour of `until`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counts: Iterable[UsageCount]) -> None:
        """Add to the counters in one transaction.

        Counts of unknown versions are ignored; there may be some after a backup was restored.

        Raises:
            InvalidValue: if a count is negative, not finite or without a time zone.
        """
        counts = list(counts)
        for count in counts:
            _check(count)
        with self._database.writing() as session:
            version_ids = {count.version_id for count in counts}
            known = set(session.scalars(select(VersionRow.id).where(VersionRow.id.in_(version_ids))))
            # always in the same order, so that two writers never wait for each other
            for count in sorted(counts, key=lambda count: (count.version_id, count.hour)):
                if count.version_id in known:
                    session.execute(_upsert(count))

    def totals(
        self, slug: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> dict[int, UsageTotal]:
        """Return the usage of each version of an adapter by number, without versions that were never used."""
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
        """Return the usage of an adapter, all versions together."""
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
        """Return the usage of an adapter or of one of its versions per hour, without idle hours."""
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
    """Return the start of the hour of a time, in UTC."""
    return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)


def _upsert(count: UsageCount) -> Executable:
    statement = insert_into(InferenceStatRow).values(
        version_id=count.version_id,
        hour=hour_of(count.hour),
        n=count.n,
        errors=count.errors,
        sum_ms=float(count.sum_ms),
        max_ms=float(count.max_ms),
    )
    row, new = InferenceStatRow, statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["version_id", "hour"],
        set_={
            "n": row.n + new.n,
            "errors": row.errors + new.errors,
            "sum_ms": row.sum_ms + new.sum_ms,
            # SQLite and PostgreSQL name the greater of two values differently
            "max_ms": case((new.max_ms > row.max_ms, new.max_ms), else_=row.max_ms),
        },
    )


def _check(count: UsageCount) -> None:
    number("a usage count: n", count.n, low=0)
    number("a usage count: errors", count.errors, low=0, high=count.n)
    number("a usage count: sum_ms", count.sum_ms, low=0)
    number("a usage count: max_ms", count.max_ms, low=0)
    if count.hour.tzinfo is None:
        raise InvalidValue("a usage count", f"its hour {count.hour} has no time zone. Add one")


def _span(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    conditions = []
    if since is not None:
        conditions.append(InferenceStatRow.hour >= hour_of(since))
    if until is not None:
        conditions.append(InferenceStatRow.hour < until)
    return conditions


def _total(n: int | None, errors: int | None, sum_ms: float | None, max_ms: float | None) -> UsageTotal:
    requests, failed = int(n or 0), int(errors or 0)
    answered = requests - failed
    if not answered:
        return UsageTotal(requests, failed, None, None)
    return UsageTotal(requests, failed, float(sum_ms or 0) / answered, max_ms)
