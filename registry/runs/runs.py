"""The run history, which is also the queue of trainings: pages insert and read rows, workers claim them."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, get_args

from sqlalchemy import and_, func, or_, select, true
from sqlalchemy.orm import Session

from registry.bases_and_datasets import require_base, require_dataset
from registry.database.canonical import number, plain_json
from registry.database.db import Database
from registry.database.models import UNKNOWN, RunParamRow, RunRow
from registry.errors import (
    AmbiguousRun,
    InvalidValue,
    RunFinished,
    RunIdTooShort,
    RunLost,
    RunNotResumable,
    UnknownRun,
)
from registry.records import EndStatus, ErrorKind, MetricSummary, NewRun, Run, RunProgress, StopRequest
from registry.runs import curves, metrics
from registry.runs.heartbeats import Heartbeat, prove_writable, running_heartbeats
from registry.runs.rows import find_runs, is_shown, run_record
from registry.slugs import validate_slug
from registry.visibility import visibility_of

SHORTEST_PREFIX = 4
WORKER_DIED = "The training process ended unexpectedly. Resume the run or start it again."
WORKER_SILENT = "The training process stopped sending heartbeats. Resume the run or start it again."
# inside the class `list` is a method, so the annotations there need another word for the type
RunList = list[Run]
HeartbeatList = list[Heartbeat]


class Runs:
    """All runs, which the app queues, workers train, and users stop and resume."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, new: NewRun, *, actor: str = UNKNOWN, worker: str | None = None) -> Run:
        """Add a run to the queue, or one that is already running.

        Every leaf of the config is also stored in run_params under its dotted key.

        Args:
            new: the run.
            actor: the user who asked for it.
            worker: the worker under which it is running already; None for a queued run.

        Raises:
            InvalidSlug: if the slug is not a valid adapter name.
            InvalidValue: if a value cannot be stored.
            UnknownBase: if the base is not registered.
            UnknownDataset: if the dataset is not registered.
        """
        validate_slug(new.slug)
        number("the seed of a run", new.seed, low=-(2**63), high=2**63 - 1)
        config = plain_json("the config of a run", new.config)
        environment = plain_json("the environment of a run", new.environment)
        params = _params(config)
        now = self._database.now()
        with self._database.writing() as session:
            require_base(session, new.base_id)
            require_dataset(session, new.dataset_id)
            row = RunRow(
                id=uuid.uuid4().hex,
                slug=new.slug,
                title=new.title,
                status="queued",
                base_id=new.base_id,
                dataset_id=new.dataset_id,
                seed=new.seed,
                config=config,
                environment=environment,
                created_at=now,
                progress=0.0,
                resumed=0,
                created_by=actor,
            )
            if worker is not None:
                _take(row, worker, now)
            session.add(row)
            session.flush()
            session.add_all(RunParamRow(run_id=row.id, key=key, value=value) for key, value in params.items())
            return run_record(session, row.id)

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
        limit: int = 100,
        offset: int = 0,
    ) -> RunList:
        """Return runs, newest first, without their metrics.

        Args:
            status: only runs with one of these statuses.
            slug: only runs of this adapter.
            limit: at most this many runs.
            offset: the number of newer runs to skip.
        """
        has_status = true() if status is None else RunRow.status.in_(status)
        has_slug = true() if slug is None else RunRow.slug == slug
        with self._database.reading() as session:
            return find_runs(session, has_status, has_slug, limit=limit, offset=offset)

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
            return dict.fromkeys(statuses, 0) | dict(session.execute(seen).tuples().all())

    def claim(self, worker: str) -> Run | None:
        """Claim the run that was created first among the queued ones, for a worker.

        Two workers never claim the same run. If a worker is killed afterwards, `reap` finds its run.

        Returns:
            The run, now running; None if none is queued.
        """
        first = (
            select(RunRow)
            .filter_by(status="queued")
            .order_by(RunRow.created_at, RunRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._database.writing() as session:
            row = session.scalars(first).one_or_none()
            if row is None:
                return None
            _take(row, worker, self._database.now())
            return run_record(session, row.id)

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
            row = session.get_one(RunRow, run_id)
            if row.status != "queued":
                return None
            earlier = or_(
                RunRow.created_at < row.created_at,
                and_(RunRow.created_at == row.created_at, RunRow.id < row.id),
            )
            # hidden runs are counted too, because they are claimed first
            ahead = select(func.count()).where(RunRow.status == "queued", earlier)
            return 1 + session.scalars(ahead).one()

    def record_heartbeat(
        self,
        run_id: str,
        worker: str,
        *,
        stage: str | None = None,
        progress: float | None = None,
        eta_seconds: float | None = None,
    ) -> StopRequest | None:
        """Record that the worker is alive and how far it is, and return the pending stop request.

        Args:
            run_id: the run.
            worker: the worker that trains it.
            stage: what the worker is doing; None leaves it unchanged, as for the others.
            progress: the fraction that is done, 0 to 1.
            eta_seconds: the estimated remaining time in seconds.

        Raises:
            RunLost: if the run is no longer running under this worker, which must stop working on it.
            InvalidValue: if a number is out of range.
        """
        if progress is not None:
            progress = number("the progress of a run", progress, low=0, high=1)
        if eta_seconds is not None:
            eta_seconds = number("the remaining seconds of a run", eta_seconds, low=0)
        with self._database.writing() as session:
            row = require_held(session, run_id, worker)
            row.heartbeat_at = self._database.now()
            row.stage = row.stage if stage is None else stage
            row.progress = row.progress if progress is None else progress
            row.eta_seconds = row.eta_seconds if eta_seconds is None else eta_seconds
            return row.stop_request

    def queue(self) -> tuple[str, ...]:
        """Return the ids of the queued runs in the order in which they will be claimed."""
        return tuple(self.queue_positions())

    def queue_positions(self) -> dict[str, int]:
        """Return the position of each queued run, 1 for the one that is claimed next, in this order."""
        shown = self._database.visibility.shows(RunRow.created_by)
        queued = select(RunRow.id, shown).where(RunRow.status == "queued")
        with self._database.reading() as session:
            found = session.execute(queued.order_by(RunRow.created_at, RunRow.id)).all()
        return {run_id: position for position, (run_id, is_seen) in enumerate(found, start=1) if is_seen}

    def log_metrics(
        self, run_id: str, step: int, values: Mapping[str, float], *, worker: str | None = None
    ) -> None:
        """Store the values of a step, and update the summaries in the same transaction.

        A step that is logged again is overwritten. NaN and infinities are stored as such, but stay out of the
        summaries.

        Args:
            run_id: the run.
            step: the step that the values belong to.
            values: by metric.
            worker: if given, the run must be running under this worker.

        Raises:
            UnknownRun: if there is no such run.
            RunLost: if the run is no longer running under the worker.
        """
        with self._database.writing() as session:
            if worker is None:
                _locked(session, run_id)
            else:
                require_held(session, run_id, worker)
            metrics.log(session, run_id, step, values, self._database.now())

    def rewind(self, run_id: str, worker: str, step: int) -> None:
        """Delete the values of all later steps, because the worker continues from this step.

        Raises:
            RunLost: if the run is no longer running under the worker.
        """
        with self._database.writing() as session:
            require_held(session, run_id, worker)
            metrics.rewind(session, run_id, step)

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

    def request_stop(self, run_id: str, request: StopRequest) -> Run:
        """Ask for a run to stop.

        A running run stops once its worker sees the request at the next heartbeat. A queued run is cancelled
        at once.

        Args:
            run_id: the run.
            request: whether to discard the work or to publish the best epoch so far.

        Raises:
            UnknownRun: if there is no such run.
            RunFinished: if the run has ended.
        """
        if request not in get_args(StopRequest):
            raise InvalidValue("a stop request", f"{request!r} is unknown. Use 'cancel' or 'keep'")
        with self._database.writing() as session:
            row = _locked(session, run_id)
            if row.status == "queued":
                row.status = "cancelled"
                row.ended_at = self._database.now()
            elif row.status == "running":
                row.stop_request = request
            else:
                raise RunFinished(run_id, row.status)
            return run_record(session, run_id)

    def finish(
        self,
        run_id: str,
        worker: str,
        status: EndStatus,
        *,
        error: str | None = None,
        error_kind: ErrorKind | None = None,
        note: str | None = None,
    ) -> Run:
        """End a running run.

        Args:
            run_id: the run.
            worker: the worker that trained it.
            status: how it ended.
            error: why it ended without completing, in a text for people.
            error_kind: the same for programs.
            note: a remark on the result for people.

        Raises:
            RunLost: if the run is no longer running under this worker.
        """
        if status not in get_args(EndStatus):
            statuses = ", ".join(get_args(EndStatus))
            raise InvalidValue("the end of a run", f"{status!r} is unknown. Use one of {statuses}")
        with self._database.writing() as session:
            row = require_held(session, run_id, worker)
            self._end(row, status, error, error_kind)
            row.note = note
            if status == "completed":
                row.progress = 1.0
            return run_record(session, run_id)

    def requeue(self, run_id: str) -> Run:
        """Queue an interrupted, failed or cancelled run again, to be resumed.

        Its progress is kept. Its position in the queue depends on when it was first created.

        Raises:
            UnknownRun: if there is no such run.
            RunNotResumable: if the run has another status.
        """
        with self._database.writing() as session:
            row = _locked(session, run_id)
            if row.status not in ("interrupted", "failed", "cancelled"):
                raise RunNotResumable(run_id, row.status)
            row.status = "queued"
            row.resumed += 1
            row.worker = row.heartbeat_at = row.ended_at = row.stop_request = None
            row.error = row.error_kind = row.note = row.stage = None
            return run_record(session, run_id)

    def heartbeats(self, *, suspected: Collection[str] = ()) -> HeartbeatList:
        """Return the last heartbeat of every running run, read while this process can write.

        The rows of `suspected` runs are also written, without a change. So a heartbeat that seems too old is
        only returned at a moment when its worker could have written a new one.

        Args:
            suspected: ids of runs that may have lost their worker.

        Raises:
            DatabaseNotWritable: if the database refuses writes.
        """
        if not self.count("running"):
            return []
        with self._database.writing() as session:
            if suspected:
                prove_writable(session, suspected)
            return running_heartbeats(session, self._database.now())

    def reap(
        self,
        *,
        silent: Mapping[str, datetime | None] = MappingProxyType({}),
        dead_worker: str | None = None,
        error: str | None = None,
    ) -> RunList:
        """Mark running runs as interrupted and return them.

        Args:
            silent: ids of runs that an observer considers dead, each with its last heartbeat. A run with a
                newer heartbeat is left alone.
            dead_worker: a worker known to be gone. All its runs are marked.
            error: why `dead_worker` is gone, if the caller knows.
        """
        lost = or_(RunRow.id.in_(silent), RunRow.worker.in_([] if dead_worker is None else [dead_worker]))
        with self._database.writing() as session:
            rows = session.scalars(
                select(RunRow).filter_by(status="running").where(lost).with_for_update()
            ).all()
            reaped = [row for row in rows if row.worker == dead_worker or row.heartbeat_at == silent[row.id]]
            for row in reaped:
                known = (error or WORKER_DIED) if row.worker == dead_worker else WORKER_SILENT
                self._end(row, "interrupted", known, "lost")
            return [run_record(session, row.id) for row in reaped]

    def _end(self, row: RunRow, status: EndStatus, error: str | None, kind: ErrorKind | None) -> None:
        row.status = status
        row.ended_at = self._database.now()
        row.error, row.error_kind = error, kind
        row.eta_seconds = None


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings under dotted keys. Lists and empty mappings are leaves."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _params(config: Mapping[str, Any]) -> dict[str, Any]:
    leaves = list(flatten(config))
    params = dict(leaves)
    if len(params) != len(leaves):
        raise InvalidValue(
            "the config of a run", "two of its settings have the same dotted name. Rename one of them"
        )
    return params


def _locked(session: Session, run_id: str) -> RunRow:
    row = session.get(RunRow, run_id, with_for_update=True)
    if row is None or not is_shown(session, run_id):
        raise UnknownRun(run_id)
    return row


def require_held(session: Session, run_id: str, worker: str) -> RunRow:
    """Return the locked row of a run that is running under the worker.

    Raises:
        RunLost: if it is not.
    """
    row = session.get(RunRow, run_id, with_for_update=True)
    if row is None or row.status != "running" or row.worker != worker:
        raise RunLost(run_id, worker)
    return row


def _take(row: RunRow, worker: str, now: datetime) -> None:
    row.status = "running"
    row.worker = worker
    row.started_at = row.heartbeat_at = now
