"""What lists, filters and searches need of each adapter, kept beside it and computed nowhere else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.db import insert_into
from registry.models import AdapterRow, AdapterSummaryRow, AdapterTagRow, EvaluationRow, VersionRow


@dataclass(frozen=True, slots=True)
class Summary:
    """The columns of `AdapterSummaryRow`, the key apart."""

    document: str
    versions: int
    newest_id: int | None = None
    base_id: int | None = None
    adapter_type: str | None = None
    accuracy: float | None = None
    published_at: datetime | None = None


def summarised(session: Session, adapter: AdapterRow) -> Summary:
    """The summary of an adapter as its rows are now."""
    session.flush()
    of_adapter = VersionRow.adapter_id == adapter.id
    newest = session.scalars(
        select(VersionRow)
        .where(of_adapter, VersionRow.withdrawn_at.is_(None))
        .order_by(VersionRow.version.desc())
        .limit(1)
    ).one_or_none()
    tags = session.scalars(
        select(AdapterTagRow.tag).filter_by(adapter_id=adapter.id).order_by(AdapterTagRow.tag)
    ).all()
    classes = newest.class_names if newest is not None else []
    document = "\n".join([adapter.slug, adapter.title, adapter.description, *tags, *classes]).casefold()
    versions = session.scalars(select(func.count()).select_from(VersionRow).where(of_adapter)).one()
    if newest is None:
        return Summary(document, versions)
    return Summary(
        document=document,
        versions=versions,
        newest_id=newest.id,
        base_id=newest.base_id,
        adapter_type=newest.adapter_type,
        accuracy=_accuracy(session, newest.id),
        published_at=newest.created_at,
    )


def refresh_summary(session: Session, adapter: AdapterRow) -> None:
    """Write the summary anew; part of every transaction that changes an adapter or its versions."""
    columns = asdict(summarised(session, adapter))
    session.execute(
        insert_into(AdapterSummaryRow)
        .values(adapter_id=adapter.id, **columns)
        .on_conflict_do_update(index_elements=["adapter_id"], set_=columns)
    )


def stale_slugs(session: Session) -> tuple[str, ...]:
    """The slugs of adapters whose stored summary is missing or isn't what `summarised` says."""
    stored = {row.adapter_id: row for row in session.scalars(select(AdapterSummaryRow))}
    names = [field.name for field in fields(Summary)]

    def stale(adapter: AdapterRow) -> bool:
        row = stored.get(adapter.id)
        if row is None:
            return True
        return Summary(**{name: getattr(row, name) for name in names}) != summarised(session, adapter)

    adapters = session.scalars(select(AdapterRow).order_by(AdapterRow.slug))
    return tuple(adapter.slug for adapter in adapters if stale(adapter))


def mend_summary(session: Session, slug: str) -> None:
    """Write the summary of the adapter of this name anew."""
    refresh_summary(session, session.scalars(select(AdapterRow).filter_by(slug=slug)).one())


def _accuracy(session: Session, version_id: int) -> float | None:
    """Of the test split where there is one, else of the validation split."""
    found = select(EvaluationRow.accuracy).filter_by(version_id=version_id).order_by(EvaluationRow.split)
    return session.scalars(found.limit(1)).one_or_none()
