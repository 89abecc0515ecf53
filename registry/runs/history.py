"""Reading the run history: runs, the queue, and the metrics of runs."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select, true

from registry.database.db import Database
from registry.database.models import RunRow
from registry.errors import AmbiguousRun, RunIdTooShort, UnknownRun
from registry.run_records import MetricSummary, Run, RunProgress
from registry.runs import curves, metrics
from registry.runs.rows import find_runs, is_shown, run_record
from registry.runs.shares import queued_runs
from registry.visibility import visibility_of

SHORTEST_PREFIX = 4

# inside the class, `list` is a method, so its annotations need another name for the type
RunList = list[Run]


class RunHistory:
    """Reads runs and their metrics, as the reader of the database sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, run_id: str) -> Run:
        """Return the run of this id.

        Args:
            run_id: the id, or its beginning (at least 4 characters) if no other run has it.

        Raises:
            RunIdTooShort: if fewer than 4 characters are given.
            UnknownRun: if no run has such an id.
            AmbiguousRun: if several runs do.
        """
        if len(run_id) < SHORTEST_PREFIX:
            raise RunIdTooShort(run_id)
        with self._database.reading() as session:
            matches = (
                select(RunRow.id)
                .where(RunRow.id.startswith(run_id, autoescape=True))
                .where(visibility_of(session).shows(RunRow.created_by))
                .order_by(RunRow.id)
            )
            found = session.scalars(matches.limit(5)).all()
            if not found:
                raise UnknownRun(run_id)
            if len(found) > 1:
                raise AmbiguousRun(run_id, found)
            return run_record(session, found[0])

    def list(
        self,
        *,
        status: Collection[str] | None = None,
        slug: str | None = None,
        group: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> RunList:
        """Return runs, newest first, without their metrics.

        Args:
            status: only runs with one of these statuses.
            slug: only runs of this adapter.
            group: only runs of this group.
            limit: at most this many runs.
            offset: the number of newer runs to skip.
        """
        has_status = true() if status is None else RunRow.status.in_(status)
        has_slug = true() if slug is None else RunRow.slug == slug
        in_group = true() if group is None else RunRow.group_id == group
        with self._database.reading() as session:
            return find_runs(session, has_status, has_slug, in_group, limit=limit, offset=offset)

    def progress(self, newest: int, *, active: int) -> tuple[RunProgress, ...]:
        """Return the progress of the newest runs and of the queued and running ones. Cheap enough to poll.

        Args:
            newest: at most this many runs of any status.
            active: at most this many queued and running ones.
        """
        columns = select(RunRow.id, RunRow.status, RunRow.stage, RunRow.progress, RunRow.stop_request)
        shown = columns.where(self._database.visibility.shows(RunRow.created_by))
        by_age = shown.order_by(RunRow.created_at.desc(), RunRow.id)
        not_ended = by_age.where(RunRow.status.in_(("queued", "running")))
        with self._database.reading() as session:
            found = [*session.execute(by_age.limit(newest)), *session.execute(not_ended.limit(active))]
        return tuple(dict.fromkeys(RunProgress(*row) for row in found))

    def count(self, status: str) -> int:
        """Return how many runs have this status."""
        return self.counts(status)[status]

    def counts(self, *statuses: str) -> dict[str, int]:
        """Return how many runs have each of these statuses."""
        with self._database.reading() as session:
            having = select(RunRow.status, func.count()).where(RunRow.status.in_(statuses))
            seen = having.where(visibility_of(session).shows(RunRow.created_by)).group_by(RunRow.status)
            return dict.fromkeys(statuses, 0) | {row[0]: row[1] for row in session.execute(seen)}

    def queue_position(self, run_id: str) -> int | None:
        """Return the position of a run in the queue, 1 for the one that is claimed next.

        Runs that the reader may not see are counted too.

        Returns:
            None for a run that is not queued.

        Raises:
            UnknownRun: if there is no such run.
        """
        with self._database.reading() as session:
            if not is_shown(session, run_id):
                raise UnknownRun(run_id)
            if session.get_one(RunRow, run_id).status != "queued":
                return None
            # hidden runs are counted too, because they are claimed first
            return 1 + [run.id for run in queued_runs(session)].index(run_id)

    def queue(self) -> tuple[str, ...]:
        """Return the ids of the queued runs in the order in which they will be claimed."""
        return tuple(self.queue_positions())

    def queue_positions(self) -> dict[str, int]:
        """Return the position of each queued run, 1 for the one that is claimed next, in this order."""
        shown = select(RunRow.id).where(
            RunRow.status == "queued", self._database.visibility.shows(RunRow.created_by)
        )
        with self._database.reading() as session:
            seen = set(session.scalars(shown))
            queue = queued_runs(session)
        return {run.id: position for position, run in enumerate(queue, start=1) if run.id in seen}

    def metrics(
        self, run_id: str, keys: Collection[str] | None = None, *, max_points: int | None = None
    ) -> metrics.Series:
        """Return the points of each metric, sorted by step.

        Args:
            run_id: the run.
            keys: the metrics; None for all.
            max_points: at most this many points of each metric, selected as described in
                `registry.runs.curves`.

        Raises:
            InvalidQuery: if `max_points` is less than 5.
        """
        with self._database.reading() as session:
            if max_points is not None:
                found = curves.sampled(session, run_id, keys, max_points)
            else:
                found = metrics.series(session, run_id, keys)
            return found if is_shown(session, run_id) else {}

    def logged_at(self, run_id: str, key: str, steps: Collection[int]) -> dict[int, datetime]:
        """Return when the values of these steps were logged, by step."""
        with self._database.reading() as session:
            return metrics.moments(session, run_id, key, steps) if is_shown(session, run_id) else {}

    def summary(self, run_id: str) -> dict[str, MetricSummary]:
        """Return the last, smallest and largest value of each metric that has a finite value."""
        with self._database.reading() as session:
            return metrics.summary(session, run_id) if is_shown(session, run_id) else {}
