"""The queue of trainings: the app adds runs, and workers claim, carry out and end them."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, get_args

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from registry.bases_and_datasets import require_base, require_dataset
from registry.database.canonical import number, plain_json
from registry.database.models import RunParamRow, RunRow
from registry.errors import (
    InvalidValue,
    RunFinished,
    RunLost,
    RunNotResumable,
    UnknownRun,
)
from registry.records import UNKNOWN
from registry.run_records import EndStatus, ErrorKind, NewRun, Run, StopRequest
from registry.runs import metrics
from registry.runs.heartbeats import Heartbeat, prove_writable, running_heartbeats
from registry.runs.history import RunHistory
from registry.runs.rows import is_shown, run_record
from registry.slugs import validate_slug

WORKER_DIED = "The training process ended unexpectedly. Resume the run or start it again."
WORKER_SILENT = "The training process stopped sending heartbeats. Resume the run or start it again."


class Runs(RunHistory):
    """All runs, which the app queues, workers train, and users stop and resume."""

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
        revision = plain_json("the revision of the data of a run", new.dataset_revision)
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
                dataset_name=new.dataset_name,
                dataset_revision=revision,
            )
            if worker is not None:
                _take(row, worker, now)
            session.add(row)
            session.flush()
            session.add_all(RunParamRow(run_id=row.id, key=key, value=value) for key, value in params.items())
            return run_record(session, row.id)

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

    def heartbeats(self, *, suspected: Collection[str] = ()) -> list[Heartbeat]:
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
    ) -> list[Run]:
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
