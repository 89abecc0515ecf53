"""Forgetting for good what certain owners left, so that no row speaks of it any more.

This is the one exception from the rule that nothing published is ever deleted. It is one transaction, which
leaves a single event that holds numbers and digests alone.
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

from registry.audit import FORGOTTEN, record_event, traces_after
from registry.catalog.summaries import refresh_summary
from registry.database import postgres, sqlite
from registry.database.models import AdapterRow, AuditEventRow, DatasetRow, RunRow, Table, VersionRow
from registry.sight import Owners

_AT_ONCE = 200
"""Ids in one statement: databases take only so many."""
_GOING = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten, for whoever removes the files that belonged to it.

    Attributes:
        owners: names of the owners whose things they were.
        adapters: slugs.
        versions: how many.
        runs: ids.
        datasets: fingerprints that no row refers to any more.
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
    """What one owner did under one slug: an adapter, the runs that made it, or both."""

    adapter_id: int | None
    run_ids: list[str]
    last: datetime
    going: bool


def forget(session: Session, owners: Owners, before: datetime, now: datetime, actor: str) -> Forgotten:
    """Delete what the owners left that nothing was done with since `before`.

    An adapter goes together with its owner's runs of the same slug: all of them, once the last of them is old
    enough and none is queued or running. Datasets go with the last row that refers to them.
    """
    done = {
        key: work for key, work in _works(session, owners).items() if work.last < before and not work.going
    }
    adapter_ids = [work.adapter_id for work in done.values() if work.adapter_id is not None]
    run_ids = [run_id for work in done.values() for run_id in work.run_ids]
    if not adapter_ids and not run_ids:
        return Forgotten()
    slugs = {slug for (_, slug), work in done.items() if work.adapter_id is not None}
    versions = _versions(session, adapter_ids, run_ids)
    dataset_ids = _datasets(session, [one for one, _ in versions], run_ids)
    shortened = {adapter_id for _, adapter_id in versions} - set(adapter_ids)
    rules = sqlite if session.get_bind().dialect.name == "sqlite" else postgres
    with rules.history_open(session.connection()):
        _delete(session, VersionRow, [one for one, _ in versions])
        _delete(session, AdapterRow, adapter_ids)
        _delete(session, RunRow, run_ids)
        datasets = _delete_unused(session, dataset_ids)
        event_uids = _delete_events(session, slugs)
    for adapter in session.scalars(select(AdapterRow).where(AdapterRow.id.in_(shortened))):
        refresh_summary(session, adapter)
    record_event(
        session,
        now,
        actor=actor,
        kind=FORGOTTEN,
        entity="registry",
        entity_id=now.isoformat(timespec="seconds"),
        payload={
            "adapters": len(slugs),
            "versions": len(versions),
            "runs": len(run_ids),
            "traces": sorted(trace_of(one) for one in (*event_uids, *run_ids)),
        },
    )
    return Forgotten(
        owners=frozenset(owner for owner, _ in done),
        adapters=frozenset(slugs),
        versions=len(versions),
        runs=frozenset(run_ids),
        datasets=frozenset(datasets),
    )


def trace_of(identifier: str) -> str:
    """Return the digest by which something forgotten is recognized: it tells nothing of it."""
    return hashlib.sha256(identifier.encode()).hexdigest()[:20]


def known_as_forgotten(session: Session, identifiers: Collection[str], *, after: int = 0) -> set[str]:
    """Return those of the ids of runs and events that were forgotten after an event."""
    traces = traces_after(session, after)
    return {one for one in identifiers if trace_of(one) in traces}


def _works(session: Session, owners: Owners) -> dict[tuple[str, str], _Work]:
    """Everything that the owners have, by owner and slug."""
    found: dict[tuple[str, str], _Work] = {}

    def add(owner: str, slug: str, *moments: datetime | None) -> _Work:
        known = max(moment for moment in moments if moment is not None)
        work = found.setdefault((owner, slug), _Work(None, [], known, going=False))
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
    # also somebody else's run may be about to publish into such an adapter
    going = set(session.scalars(select(RunRow.slug).where(RunRow.status.in_(_GOING)).distinct()))
    for (_, slug), work in found.items():
        work.going = slug in going
    return found


def _versions(session: Session, adapter_ids: Sequence[int], run_ids: Sequence[str]) -> list[tuple[int, int]]:
    """The versions of the adapters and of the runs: id and adapter of each."""
    found: set[tuple[int, int]] = set()
    columns = select(VersionRow.id, VersionRow.adapter_id)
    for column, ids in ((VersionRow.adapter_id, adapter_ids), (VersionRow.run_id, run_ids)):
        for some in _batches(ids):
            found |= {(one, adapter) for one, adapter in session.execute(columns.where(column.in_(some)))}
    return sorted(found)


def _datasets(session: Session, version_ids: Sequence[int], run_ids: Sequence[str]) -> list[int]:
    found: set[int] = set()
    for model, ids in ((VersionRow, version_ids), (RunRow, run_ids)):
        for some in _batches(ids):
            used = select(model.dataset_id).where(model.id.in_(some), model.dataset_id.is_not(None))
            found |= set(session.scalars(used.distinct()))
    return sorted(found)


def _delete(session: Session, model: type[Table], ids: Sequence[Any]) -> None:
    """Delete rows by id, and before them whatever refers to them, however indirectly."""
    for some in _batches(ids):
        root: SqlTable = model.__table__  # type: ignore[assignment]  # it is a table for every model here
        doomed: dict[SqlTable, ColumnElement[bool]] = {root: root.c.id.in_(some)}
        for table in Table.metadata.sorted_tables:  # those that are referred to come first
            references = [column.in_(chosen) for column, chosen in _references(table, doomed)]
            if references and table is not root:
                doomed[table] = or_(*references)
        for table in reversed(Table.metadata.sorted_tables):
            if table in doomed:
                session.execute(delete(table).where(doomed[table]))


def _references(
    table: SqlTable, doomed: dict[SqlTable, ColumnElement[bool]]
) -> Iterator[tuple[Column[Any], Any]]:
    """The columns of a table that refer to rows which are to be deleted, and the ids of those."""
    for key in sorted(table.foreign_keys, key=lambda one: one.parent.name):
        if key.column.table in doomed and key.column.name == "id":
            yield key.parent, select(key.column).where(doomed[key.column.table])


def _delete_unused(session: Session, dataset_ids: Sequence[int]) -> list[str]:
    """Delete those of the datasets that nothing refers to any more; their fingerprints."""
    found: dict[int, str] = {}
    for some in _batches(dataset_ids):
        unused = select(DatasetRow.id, DatasetRow.fingerprint).where(
            DatasetRow.id.in_(some),
            ~select(RunRow.id).where(RunRow.dataset_id == DatasetRow.id).exists(),
            ~select(VersionRow.id).where(VersionRow.dataset_id == DatasetRow.id).exists(),
        )
        found |= {row.id: row.fingerprint for row in session.execute(unused)}
    _delete(session, DatasetRow, list(found))
    return list(found.values())


def _delete_events(session: Session, slugs: Collection[str]) -> list[str]:
    """Delete the events of adapters, their versions and aliases; the unique ids of those events."""
    columns = select(AuditEventRow.id, AuditEventRow.event_uid, AuditEventRow.entity_id)
    events = session.execute(columns.where(AuditEventRow.entity.in_(("adapter", "version", "alias"))))
    found = {row.id: row.event_uid for row in events if row.entity_id.partition("@")[0] in slugs}
    for some in _batches(list(found)):
        session.execute(delete(AuditEventRow).where(AuditEventRow.id.in_(some)))
    return list(found.values())


def _batches(ids: Sequence[Any]) -> Iterator[list[Any]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch
