"""Runs as they are read: a row with its base, its dataset and the version it published."""

from sqlalchemy import ColumnElement, Text, cast, select
from sqlalchemy.orm import Session

from registry.bases_and_datasets import base_record, dataset_summary
from registry.database.models import AdapterRow, BaseRow, DatasetRow, RunRow, VersionRow
from registry.run_records import Run
from registry.visibility import visibility_of


def find_runs(
    session: Session, *conditions: ColumnElement[bool], limit: int | None = None, offset: int = 0
) -> list[Run]:
    """Return the runs that meet the conditions and that the reader may see, newest first, in one query."""
    visibility = visibility_of(session)
    published = (
        select(AdapterRow.slug + "@" + cast(VersionRow.version, Text))
        .select_from(VersionRow)
        .join(AdapterRow, AdapterRow.id == VersionRow.adapter_id)
        .where(VersionRow.run_id == RunRow.id, visibility.shows(AdapterRow.owner))
        .order_by(VersionRow.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        select(RunRow, BaseRow, DatasetRow, published)
        .join(BaseRow, BaseRow.id == RunRow.base_id)
        .join(DatasetRow, DatasetRow.id == RunRow.dataset_id)
        .where(*conditions, visibility.shows(RunRow.created_by))
        .order_by(RunRow.created_at.desc(), RunRow.id)
        .limit(limit)
        .offset(offset)
    )
    return [_run(row, base, dataset, ref) for row, base, dataset, ref in session.execute(statement)]


def run_record(session: Session, run_id: str) -> Run:
    """Return the run of this id, which must exist."""
    return find_runs(session, RunRow.id == run_id)[0]


def is_shown(session: Session, run_id: str) -> bool:
    """Return whether the run exists and the reader of the session may see it."""
    shown = select(RunRow.id).where(RunRow.id == run_id, visibility_of(session).shows(RunRow.created_by))
    return session.scalar(shown) is not None


def _run(row: RunRow, base: BaseRow, dataset: DatasetRow, published: str | None) -> Run:
    return Run(
        id=row.id,
        slug=row.slug,
        title=row.title,
        status=row.status,
        base_id=row.base_id,
        dataset_id=row.dataset_id,
        seed=row.seed,
        config=row.config,
        environment=row.environment,
        worker=row.worker,
        heartbeat_at=row.heartbeat_at,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        stage=row.stage,
        progress=row.progress,
        eta_seconds=row.eta_seconds,
        stop_request=row.stop_request,
        error=row.error,
        error_kind=row.error_kind,
        note=row.note,
        resumed=row.resumed,
        attempt=row.attempt,
        take_ups=row.take_ups,
        node=row.node,
        created_by=row.created_by,
        base=base_record(base),
        dataset=dataset_summary(dataset, row.dataset_name),
        published=published,
        dataset_revision=row.dataset_revision,
        group=row.group_id,
    )
