"""The queue of trainings: the app adds runs, and workers claim, carry out and end them."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, get_args

from sqlalchemy import func, or_, select, update
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
from registry.run_records import EndStatus, ErrorKind, Lease, NewRun, Run, StopRequest
from registry.runs import metrics
from registry.runs.heartbeats import Heartbeat, prove_writable, running_heartbeats
from registry.runs.history import RunHistory
from registry.runs.leases import require_held
from registry.runs.rows import is_shown, run_record
from registry.runs.shares import queued_runs
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
        with self._database.writing() as session:
            now = self._database.now_in(session)
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
                attempt=0,
                take_ups=0,
                created_by=actor,
                dataset_name=new.dataset_name,
                dataset_revision=revision,
                group_id=new.group,
            )
            if worker is not None:
                _take(row, worker, now, None)
            session.add(row)
            session.flush()
            session.add_all(RunParamRow(run_id=row.id, key=key, value=value) for key, value in params.items())
            return run_record(session, row.id)

    def claim(self, worker: str, *, node: str | None = None) -> Run | None:
        """Claim the queued run whose turn it is, for a worker; see `registry.runs.shares.fair_order`.

        Two workers never claim the same run. If a worker is killed afterwards, `reap` finds its run.

        Args:
            worker: the worker.
            node: the node that started it; None if none did.

        Returns:
            The run, now running; None if none is queued.
        """
        if not self._is_any_queued():  # workers ask often, so most of them do not take the write lock
            return None
        with self._database.writing() as session:
            queue = queued_runs(session)
            if not queue:
                return None
            row = _locked(session, queue[0].id)
            _take(row, worker, self._database.now_in(session), node)
            return run_record(session, row.id)

    def record_heartbeat(
        self,
        lease: Lease,
        *,
        stage: str | None = None,
        progress: float | None = None,
        eta_seconds: float | None = None,
    ) -> StopRequest | None:
        """Record that the worker is alive and how far it is, and return the pending stop request.

        This does not wait for other writers of a PostgreSQL database, not even for a long publication.

        Args:
            lease: the run and the worker that trains it.
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
        told = {"stage": stage, "progress": progress, "eta_seconds": eta_seconds}
        held = (
            update(RunRow)
            .where(RunRow.id == lease.run_id, RunRow.status == "running")
            .where(RunRow.worker == lease.worker, RunRow.attempt == lease.attempt)
        )
        with self._database.writing_row() as session:
            now = self._database.now_in(session)
            changed = {name: value for name, value in told.items() if value is not None}
            beat = held.values(heartbeat_at=now, **changed).returning(RunRow.stop_request)
            requests = session.scalars(beat).all()
        if not requests:
            raise RunLost(lease.run_id, lease.worker)
        return requests[0]

    def log_metrics(
        self, run_id: str, step: int, values: Mapping[str, float], *, lease: Lease | None = None
    ) -> None:
        """Store the values of a step, and update the summaries in the same transaction.

        A step that is logged again is overwritten. NaN and infinities are stored as such, but stay out of the
        summaries.

        Args:
            run_id: the run.
            step: the step that the values belong to.
            values: by metric.
            lease: if given, the run must be running under this lease.

        Raises:
            UnknownRun: if there is no such run.
            RunLost: if the run is no longer running under the lease.
        """
        with self._database.writing() as session:
            if lease is None:
                _locked(session, run_id)
            else:
                require_held(session, lease)
            metrics.log(session, run_id, step, values, self._database.now())

    def rewind(self, lease: Lease, step: int) -> None:
        """Delete the values of all later steps, because the worker continues from this step.

        Raises:
            RunLost: if the run is no longer running under the lease.
        """
        with self._database.writing() as session:
            require_held(session, lease)
            metrics.rewind(session, lease.run_id, step)

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
                row.ended_at = self._database.now_in(session)
            elif row.status == "running":
                row.stop_request = request
            else:
                raise RunFinished(run_id, row.status)
            return run_record(session, run_id)

    def finish(
        self,
        lease: Lease,
        status: EndStatus,
        *,
        error: str | None = None,
        error_kind: ErrorKind | None = None,
        note: str | None = None,
    ) -> Run:
        """End a running run.

        Args:
            lease: the run and the worker that trained it.
            status: how it ended.
            error: why it ended without completing, in a text for people.
            error_kind: the same for programs.
            note: a remark on the result for people.

        Raises:
            RunLost: if the run is no longer running under this lease.
        """
        if status not in get_args(EndStatus):
            statuses = ", ".join(get_args(EndStatus))
            raise InvalidValue("the end of a run", f"{status!r} is unknown. Use one of {statuses}")
        with self._database.writing() as session:
            row = require_held(session, lease)
            self._end(session, row, status, error, error_kind)
            row.note = note
            if status == "completed":
                row.progress = 1.0
            return run_record(session, lease.run_id)

    def hand_back(self, lease: Lease) -> Run:
        """Queue a running run again, because its worker has to end; a run to be cancelled is cancelled.

        Raises:
            RunLost: if the run is no longer running under this lease.
        """
        with self._database.writing() as session:
            row = require_held(session, lease)
            if row.stop_request == "cancel":
                self._end(session, row, "cancelled", None, None)
            else:
                _queue_again(row)
            return run_record(session, lease.run_id)

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
            _queue_again(row)
            row.take_ups, row.stop_request = 0, None
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
        with self._database.writing_row() as session:
            if suspected:
                prove_writable(session, suspected)
            return running_heartbeats(session, self._database.now_in(session))

    def reap(
        self,
        *,
        silent: Mapping[str, datetime | None] = MappingProxyType({}),
        dead: Mapping[str, str | None] = MappingProxyType({}),
        take_ups: int = 0,
    ) -> list[Run]:
        """Take running runs from workers that are gone, and return the runs.

        A run is marked as interrupted, or queued again for another worker. What a user requested before is
        respected: a run to be cancelled is cancelled.

        Args:
            silent: ids of runs that an observer considers dead, each with its last heartbeat. A run with a
                newer heartbeat is left alone.
            dead: workers known to be gone, each with the reason if the caller knows it. All their runs are
                taken.
            take_ups: how often a run is queued again before it is marked as interrupted.
        """
        lost = or_(RunRow.id.in_(silent), RunRow.worker.in_(dead))
        taken = select(RunRow).filter_by(status="running").where(lost).order_by(RunRow.id).with_for_update()
        with self._database.writing() as session:
            rows = session.scalars(taken).all()
            reaped = [row for row in rows if row.worker in dead or row.heartbeat_at == silent[row.id]]
            for row in reaped:
                known = (dead.get(row.worker or "") or WORKER_DIED) if row.worker in dead else WORKER_SILENT
                if row.stop_request == "cancel":
                    self._end(session, row, "cancelled", None, None)
                elif row.take_ups < take_ups:
                    _queue_again(row)
                    row.take_ups += 1
                else:
                    self._end(session, row, "interrupted", known, "lost")
            return [run_record(session, row.id) for row in reaped]

    def _is_any_queued(self) -> bool:
        with self._database.reading() as session:
            return bool(session.scalar(select(func.count()).where(RunRow.status == "queued")))

    def _end(
        self, session: Session, row: RunRow, status: EndStatus, error: str | None, kind: ErrorKind | None
    ) -> None:
        row.status = status
        row.ended_at = self._database.now_in(session)
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


def _take(row: RunRow, worker: str, now: datetime, node: str | None) -> None:
    row.status = "running"
    row.worker, row.node = worker, node
    row.attempt += 1
    row.started_at = row.heartbeat_at = now


def _queue_again(row: RunRow) -> None:
    row.status = "queued"
    row.resumed += 1
    row.worker = row.node = row.heartbeat_at = row.ended_at = row.eta_seconds = None
    row.error = row.error_kind = row.note = row.stage = None
