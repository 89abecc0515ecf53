"""What lists, filters and searches need of each adapter, kept beside it and computed nowhere else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.database.db import insert_into
from registry.database.models import AdapterRow, AdapterSummaryRow, AdapterTagRow, EvaluationRow, VersionRow

AT_ONCE = 500


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
    return summarised_all(session, [adapter])[adapter.id]


def summarised_all(session: Session, adapters: Collection[AdapterRow]) -> dict[int, Summary]:
    """The summary of each adapter, by its id, as their rows are now; in the same few queries for all."""
    session.flush()
    ids = [adapter.id for adapter in adapters]
    versions = _version_counts(session, ids)
    newest = _newest(session, ids)
    tags = _tags(session, ids)
    accuracies = _accuracies(session, [one.id for one in newest.values()])

    def summary(adapter: AdapterRow) -> Summary:
        version = newest.get(adapter.id)
        classes = version.class_names if version is not None else []
        texts = [adapter.slug, adapter.title, adapter.description, *tags[adapter.id], *classes]
        document, n = "\n".join(texts).casefold(), versions.get(adapter.id, 0)
        if version is None:
            return Summary(document, n)
        return Summary(
            document=document,
            versions=n,
            newest_id=version.id,
            base_id=version.base_id,
            adapter_type=version.adapter_type,
            accuracy=accuracies.get(version.id),
            published_at=version.created_at,
        )

    return {adapter.id: summary(adapter) for adapter in adapters}


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
    names = [field.name for field in fields(Summary)]
    columns = [getattr(AdapterSummaryRow, name) for name in names]
    stored = {
        adapter_id: Summary(*values)
        for adapter_id, *values in session.execute(select(AdapterSummaryRow.adapter_id, *columns))
    }
    stale: list[str] = []
    adapters = session.scalars(select(AdapterRow).order_by(AdapterRow.slug))
    for some in adapters.partitions(AT_ONCE):
        true = summarised_all(session, some)
        stale += [adapter.slug for adapter in some if stored.get(adapter.id) != true[adapter.id]]
    return tuple(stale)


def mend_summary(session: Session, slug: str) -> None:
    """Write the summary of the adapter of this name anew."""
    refresh_summary(session, session.scalars(select(AdapterRow).filter_by(slug=slug)).one())


def _version_counts(session: Session, ids: Collection[int]) -> dict[int, int]:
    counted = select(VersionRow.adapter_id, func.count()).where(VersionRow.adapter_id.in_(ids))
    return dict(session.execute(counted.group_by(VersionRow.adapter_id)).all())


def _newest(session: Session, ids: Collection[int]) -> dict[int, Any]:
    """The row of the newest version of each adapter that isn't withdrawn."""
    found = (
        select(
            VersionRow.id,
            VersionRow.adapter_id,
            VersionRow.base_id,
            VersionRow.adapter_type,
            VersionRow.class_names,
            VersionRow.created_at,
        )
        .where(VersionRow.adapter_id.in_(ids), VersionRow.withdrawn_at.is_(None))
        .order_by(VersionRow.version)
    )
    return {row.adapter_id: row for row in session.execute(found)}


def _tags(session: Session, ids: Collection[int]) -> defaultdict[int, list[str]]:
    found = select(AdapterTagRow.adapter_id, AdapterTagRow.tag).where(AdapterTagRow.adapter_id.in_(ids))
    tags: defaultdict[int, list[str]] = defaultdict(list)
    for adapter_id, tag in session.execute(found.order_by(AdapterTagRow.tag)):
        tags[adapter_id].append(tag)
    return tags


def _accuracies(session: Session, version_ids: Collection[int]) -> dict[int, float]:
    """Of the test split where there is one, else of the validation split; the last one of a version stays."""
    found = (
        select(EvaluationRow.version_id, EvaluationRow.accuracy)
        .where(EvaluationRow.version_id.in_(version_ids))
        .order_by(EvaluationRow.split.desc())
    )
    return dict(session.execute(found).all())
