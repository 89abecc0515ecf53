"""Summaries of adapters, which lists, filters and searches read. They are computed only here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from registry.catalog.versions import DEFAULT_ALIAS
from registry.database.db import insert_into
from registry.database.models import (
    AdapterRow,
    AdapterSummaryRow,
    AdapterTagRow,
    AliasRow,
    EvaluationRow,
    VersionRow,
)

BATCH = 500


@dataclass(frozen=True, slots=True)
class Summary:
    """The columns of `AdapterSummaryRow`, except the key."""

    document: str
    versions: int
    newest_id: int | None = None
    base_id: int | None = None
    adapter_type: str | None = None
    accuracy: float | None = None
    published_at: datetime | None = None


def summarized(session: Session, adapter: AdapterRow) -> Summary:
    """Return the summary of an adapter, computed from its present rows."""
    return summarized_all(session, [adapter])[adapter.id]


def summarized_all(session: Session, adapters: Collection[AdapterRow]) -> dict[int, Summary]:
    """Return the summary of each adapter by id, computed from its rows in a fixed number of queries."""
    session.flush()
    ids = [adapter.id for adapter in adapters]
    versions = _version_counts(session, ids)
    named = _named_by_slug(session, ids)
    tags = _tags(session, ids)
    accuracies = _accuracies(session, [version.id for version in named.values()])

    def summary(adapter: AdapterRow) -> Summary:
        version = named.get(adapter.id)
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
    """Rewrite the stored summary. Part of every transaction that changes an adapter or its versions."""
    columns = asdict(summarized(session, adapter))
    session.execute(
        insert_into(AdapterSummaryRow)
        .values(adapter_id=adapter.id, **columns)
        .on_conflict_do_update(index_elements=["adapter_id"], set_=columns)
    )


def stale_slugs(session: Session) -> tuple[str, ...]:
    """Return the slugs of adapters whose stored summary is missing or differs from `summarized`."""
    names = [field.name for field in fields(Summary)]
    columns = [getattr(AdapterSummaryRow, name) for name in names]
    stored = {
        adapter_id: Summary(*values)
        for adapter_id, *values in session.execute(select(AdapterSummaryRow.adapter_id, *columns))
    }
    stale: list[str] = []
    adapters = session.scalars(select(AdapterRow).order_by(AdapterRow.slug))
    for batch in adapters.partitions(BATCH):
        computed = summarized_all(session, batch)
        stale += [adapter.slug for adapter in batch if stored.get(adapter.id) != computed[adapter.id]]
    return tuple(stale)


def mend_summary(session: Session, slug: str) -> None:
    """Rewrite the summary of the adapter of this name."""
    refresh_summary(session, session.scalars(select(AdapterRow).filter_by(slug=slug)).one())


def _version_counts(session: Session, ids: Collection[int]) -> dict[int, int]:
    counted = select(VersionRow.adapter_id, func.count()).where(VersionRow.adapter_id.in_(ids))
    return dict(session.execute(counted.group_by(VersionRow.adapter_id)).all())


def _named_by_slug(session: Session, ids: Collection[int]) -> dict[int, Any]:
    """Return the row of the version that the name of each adapter means, by adapter id.

    It is the version of the alias `default`, or else the newest that is not withdrawn.
    """
    chosen = and_(
        AliasRow.adapter_id == VersionRow.adapter_id,
        AliasRow.version_id == VersionRow.id,
        AliasRow.alias == DEFAULT_ALIAS,
    )
    found = (
        select(
            VersionRow.id,
            VersionRow.adapter_id,
            VersionRow.base_id,
            VersionRow.adapter_type,
            VersionRow.class_names,
            VersionRow.created_at,
        )
        .outerjoin(AliasRow, chosen)
        .where(VersionRow.adapter_id.in_(ids), VersionRow.withdrawn_at.is_(None))
        .order_by(AliasRow.alias.is_not(None), VersionRow.version)
    )
    return {row.adapter_id: row for row in session.execute(found)}


def _tags(session: Session, ids: Collection[int]) -> defaultdict[int, list[str]]:
    found = select(AdapterTagRow.adapter_id, AdapterTagRow.tag).where(AdapterTagRow.adapter_id.in_(ids))
    tags: defaultdict[int, list[str]] = defaultdict(list)
    for adapter_id, tag in session.execute(found.order_by(AdapterTagRow.tag)):
        tags[adapter_id].append(tag)
    return tags


def _accuracies(session: Session, version_ids: Collection[int]) -> dict[int, float]:
    """Return the accuracy on the test split, or else on the validation split, by version id."""
    found = (
        select(EvaluationRow.version_id, EvaluationRow.accuracy)
        .where(EvaluationRow.version_id.in_(version_ids))
        .order_by(EvaluationRow.split.desc())  # 'test' comes last and replaces 'validation'
    )
    return dict(session.execute(found).all())
