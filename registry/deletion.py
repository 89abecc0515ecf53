"""Permanent deletion of rows, and of what certain owners left, so that no row mentions it any more.

This is one of two exceptions to the rule that nothing published is ever deleted; the other one is
`registry.chosen_deletion`. It happens in one transaction, which leaves a single event that holds only counts
and digests.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Column, ColumnElement, delete, or_, select
from sqlalchemy import Table as SqlTable
from sqlalchemy.orm import Session

from registry.audit import DELETED, deletion_digests_after, record_event
from registry.catalog.summaries import refresh_summary
from registry.database import postgres, sqlite
from registry.database.models import AdapterRow, AuditEventRow, DatasetRow, RunRow, Table, VersionRow
from registry.visibility import Owners

_BATCH = 200
"""Ids per statement, because databases limit the number of parameters."""
ACTIVE = ("queued", "running")
"""Statuses of runs that have not ended."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted, for callers that remove the files that belonged to it.

    Attributes:
        owners: names of the owners whose things were deleted.
        adapters: slugs of the deleted adapters.
        versions: the number of deleted versions.
        runs: ids of the deleted runs.
        datasets: fingerprints of the deleted datasets, which no row uses any more.
    """

    owners: frozenset[str] = frozenset()
    adapters: frozenset[str] = frozenset()
    versions: int = 0
    runs: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.adapters or self.runs)


@dataclass
class _Work:
    """What one owner made under one slug: an adapter, its runs, or both."""

    adapter_id: int | None
    run_ids: list[str]
    last: datetime
    is_active: bool


def delete_inactive(
    session: Session, owners: Owners, before: datetime, now: datetime, actor: str
) -> Deletion:
    """Delete the adapters and runs of the owners that have not changed since `before`.

    An adapter and its owner's runs of the same slug are deleted together, once the last of them is old enough
    and none is queued or running. A dataset is deleted with the last row that uses it.

    Args:
        session: a writing session.
        owners: whose things may be deleted.
        before: things with a later change are kept.
        now: the time of the event that is recorded.
        actor: the author of the event.
    """
    inactive = {
        key: work
        for key, work in _works(session, owners).items()
        if work.last < before and not work.is_active
    }
    adapter_ids = [work.adapter_id for work in inactive.values() if work.adapter_id is not None]
    run_ids = [run_id for work in inactive.values() for run_id in work.run_ids]
    if not adapter_ids and not run_ids:
        return Deletion()
    slugs = {slug for (_, slug), work in inactive.items() if work.adapter_id is not None}
    versions = versions_of(session, adapter_ids, run_ids)
    datasets, event_uids = delete_rows(session, adapter_ids, versions, run_ids, slugs)
    record_event(
        session,
        now,
        actor=actor,
        kind=DELETED,
        entity="registry",
        entity_id=now.isoformat(timespec="seconds"),
        payload=traces_of(len(slugs), len(versions), run_ids, event_uids),
    )
    return Deletion(
        owners=frozenset(owner for owner, _ in inactive),
        adapters=frozenset(slugs),
        versions=len(versions),
        runs=frozenset(run_ids),
        datasets=frozenset(datasets),
    )


def delete_rows(
    session: Session,
    adapter_ids: Sequence[int],
    versions: Sequence[tuple[int, int]],
    run_ids: Sequence[str],
    slugs: Collection[str],
) -> tuple[list[str], list[str]]:
    """Delete rows, all rows that refer to them, and datasets that no row uses any more.

    Args:
        session: a writing session.
        adapter_ids: ids of the adapters to delete.
        versions: id and adapter id of each version to delete.
        run_ids: ids of the runs to delete.
        slugs: adapters whose events are deleted too.

    Returns:
        The fingerprints of the deleted datasets, and the unique ids of the deleted events.
    """
    version_ids = [version_id for version_id, _ in versions]
    dataset_ids = _datasets(session, version_ids, run_ids)
    shortened = {adapter_id for _, adapter_id in versions} - set(adapter_ids)
    rules = sqlite if session.get_bind().dialect.name == "sqlite" else postgres
    with rules.history_unlocked(session.connection()):
        _delete(session, VersionRow, version_ids)
        _delete(session, AdapterRow, adapter_ids)
        _delete(session, RunRow, run_ids)
        datasets = _delete_unused(session, dataset_ids)
        event_uids = _delete_events(session, slugs)
    for adapter in session.scalars(select(AdapterRow).where(AdapterRow.id.in_(shortened))):
        refresh_summary(session, adapter)
    return datasets, event_uids


def traces_of(
    adapters: int, versions: int, run_ids: Collection[str], event_uids: Collection[str]
) -> dict[str, Any]:
    """Return the payload of the event of a deletion: counts, and digests of deleted runs and events."""
    return {
        "adapters": adapters,
        "versions": versions,
        "runs": len(run_ids),
        "traces": sorted(map(deletion_digest, (*event_uids, *run_ids))),
    }


def deletion_digest(identifier: str) -> str:
    """Return the digest by which a deleted run or event is recognized. It reveals nothing else about it."""
    return hashlib.sha256(identifier.encode()).hexdigest()[:20]


def deleted_among(session: Session, identifiers: Collection[str], *, after: int = 0) -> set[str]:
    """Return those of the run and event ids that were deleted after the event `after`."""
    digests = deletion_digests_after(session, after)
    return {identifier for identifier in identifiers if deletion_digest(identifier) in digests}


def _works(session: Session, owners: Owners) -> dict[tuple[str, str], _Work]:
    """Return everything that the owners have, by owner and slug."""
    found: dict[tuple[str, str], _Work] = {}

    def add(owner: str, slug: str, *moments: datetime | None) -> _Work:
        known = max(moment for moment in moments if moment is not None)
        work = found.setdefault((owner, slug), _Work(None, [], known, is_active=False))
        work.last = max(work.last, known)
        return work

    runs = select(
        RunRow.id, RunRow.created_by, RunRow.slug, RunRow.created_at, RunRow.started_at, RunRow.ended_at
    ).where(owners.condition(RunRow.created_by))
    for row in session.execute(runs):
        work = add(row.created_by, row.slug, row.created_at, row.started_at, row.ended_at)
        work.run_ids.append(row.id)
    adapters = (
        select(AdapterRow.id, AdapterRow.owner, AdapterRow.slug, AdapterRow.created_at, VersionRow.created_at)
        .outerjoin(VersionRow, VersionRow.adapter_id == AdapterRow.id)
        .where(owners.condition(AdapterRow.owner))
    )
    for adapter_id, owner, slug, created_at, published_at in session.execute(adapters):
        add(owner, slug, created_at, published_at).adapter_id = adapter_id
    # a run of another owner may be about to publish into such an adapter too
    active = set(session.scalars(select(RunRow.slug).where(RunRow.status.in_(ACTIVE)).distinct()))
    for (_, slug), work in found.items():
        work.is_active = slug in active
    return found


def versions_of(
    session: Session, adapter_ids: Sequence[int], run_ids: Sequence[str]
) -> list[tuple[int, int]]:
    """Return the id and the adapter id of each version of the adapters and of the runs."""
    found: set[tuple[int, int]] = set()
    columns = select(VersionRow.id, VersionRow.adapter_id)
    for column, ids in ((VersionRow.adapter_id, adapter_ids), (VersionRow.run_id, run_ids)):
        for batch in _batches(ids):
            rows = session.execute(columns.where(column.in_(batch)))
            found |= {(version_id, adapter_id) for version_id, adapter_id in rows}
    return sorted(found)


def _datasets(session: Session, version_ids: Sequence[int], run_ids: Sequence[str]) -> list[int]:
    found: set[int] = set()
    for model, ids in ((VersionRow, version_ids), (RunRow, run_ids)):
        for batch in _batches(ids):
            used = select(model.dataset_id).where(model.id.in_(batch), model.dataset_id.is_not(None))
            found |= set(session.scalars(used.distinct()))
    return sorted(found)


def _delete(session: Session, model: type[Table], ids: Sequence[Any]) -> None:
    """Delete rows by id, after all rows that refer to them, directly or indirectly."""
    for batch in _batches(ids):
        root: SqlTable = model.__table__  # type: ignore[assignment]  # it is a table for every model here
        conditions: dict[SqlTable, ColumnElement[bool]] = {root: root.c.id.in_(batch)}
        for table in Table.metadata.sorted_tables:  # tables that others refer to come first
            references = [column.in_(chosen) for column, chosen in _references(table, conditions)]
            if references and table is not root:
                conditions[table] = or_(*references)
        for table in reversed(Table.metadata.sorted_tables):
            if table in conditions:
                session.execute(delete(table).where(conditions[table]))


def _references(
    table: SqlTable, conditions: dict[SqlTable, ColumnElement[bool]]
) -> Iterator[tuple[Column[Any], Any]]:
    """Yield the columns of a table that refer to rows to be deleted, each with a query for their ids."""
    for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
        if key.column.table in conditions and key.column.name == "id":
            yield key.parent, select(key.column).where(conditions[key.column.table])


def _delete_unused(session: Session, dataset_ids: Sequence[int]) -> list[str]:
    """Delete those of the datasets that no row uses any more, and return their fingerprints."""
    found: dict[int, str] = {}
    for batch in _batches(dataset_ids):
        unused = select(DatasetRow.id, DatasetRow.fingerprint).where(
            DatasetRow.id.in_(batch),
            ~select(RunRow.id).where(RunRow.dataset_id == DatasetRow.id).exists(),
            ~select(VersionRow.id).where(VersionRow.dataset_id == DatasetRow.id).exists(),
        )
        found |= {row.id: row.fingerprint for row in session.execute(unused)}
    _delete(session, DatasetRow, list(found))
    return list(found.values())


def _delete_events(session: Session, slugs: Collection[str]) -> list[str]:
    """Delete the events of adapters, their versions and aliases, and return the unique ids of the events."""
    columns = select(AuditEventRow.id, AuditEventRow.event_uid, AuditEventRow.entity_id)
    events = session.execute(columns.where(AuditEventRow.entity.in_(("adapter", "version", "alias"))))
    found = {row.id: row.event_uid for row in events if row.entity_id.partition("@")[0] in slugs}
    for batch in _batches(list(found)):
        session.execute(delete(AuditEventRow).where(AuditEventRow.id.in_(batch)))
    return list(found.values())


def _batches(ids: Sequence[Any]) -> Iterator[list[Any]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
