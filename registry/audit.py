"""The record of who changed what in the catalog; written in the transaction of the change itself."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import Session

from registry.database.models import AdapterRow, AuditEventRow
from registry.records import AuditEvent
from registry.sight import Sight, sight_of

RESTORED = "restored"
"""The kind of event that tells of a backup in the place of all that was there."""
FORGOTTEN = "forgotten"
"""The kind of event that is left of what was forgotten; see `registry.forgetting`."""


def record_event(
    session: Session,
    ts: datetime,
    *,
    actor: str,
    kind: str,
    entity: str,
    entity_id: str,
    payload: Mapping[str, Any],
) -> None:
    """Add one event to the transaction of `session`."""
    session.add(
        AuditEventRow(
            event_uid=uuid.uuid4().hex,
            ts=ts,
            actor=actor,
            kind=kind,
            entity=entity,
            entity_id=entity_id,
            payload=dict(payload),
        )
    )


def newest_event_id(session: Session) -> int:
    """The id of the last event, 0 before the first; ids are never reused."""
    return session.scalars(select(func.coalesce(func.max(AuditEventRow.id), 0))).one()


def restored_after(session: Session, event_id: int) -> bool:
    """Whether a backup was restored after that event."""
    restored = select(AuditEventRow.id).where(AuditEventRow.kind == RESTORED, AuditEventRow.id > event_id)
    return session.scalars(restored.limit(1)).one_or_none() is not None


def renamed_after(session: Session, event_id: int) -> bool:
    """Whether a name may mean another thing than at that event: one was restored, or forgotten and reused."""
    changed = select(AuditEventRow.id).where(
        AuditEventRow.kind.in_((RESTORED, FORGOTTEN)), AuditEventRow.id > event_id
    )
    return session.scalars(changed.limit(1)).one_or_none() is not None


def has_forgotten(session: Session) -> bool:
    """Whether anything was ever forgotten."""
    events = select(AuditEventRow.id).where(
        AuditEventRow.entity == "registry", AuditEventRow.kind == FORGOTTEN
    )
    return session.scalars(events.limit(1)).one_or_none() is not None


def traces_after(session: Session, event_id: int) -> set[str]:
    """The digests that what was forgotten after an event left."""
    events = select(AuditEventRow.payload).where(
        AuditEventRow.kind == FORGOTTEN, AuditEventRow.entity == "registry", AuditEventRow.id > event_id
    )
    return {trace for payload in session.scalars(events) for trace in payload["traces"]}


def newest_events(session: Session, limit: int) -> list[AuditEvent]:
    """The last events, newest first."""
    statement = select(AuditEventRow).where(_shown(sight_of(session)))
    rows = session.scalars(statement.order_by(AuditEventRow.id.desc()).limit(limit))
    return [_event(row) for row in rows]


def _shown(sight: Sight) -> ColumnElement[bool]:
    """The condition that an event tells of nothing that is hidden."""
    if sight.is_whole:
        return true()
    parts = AdapterRow.slug + "@"
    of_hidden = (
        select(AdapterRow.id)
        .where(sight.hides(AdapterRow.owner))
        .where(
            or_(
                AuditEventRow.entity_id == AdapterRow.slug,
                func.substr(AuditEventRow.entity_id, 1, func.length(parts)) == parts,
            )
        )
    )
    return and_(sight.shows(AuditEventRow.actor), ~of_hidden.exists())


def events_of(
    session: Session,
    slug: str,
    *,
    entity: str | None = None,
    entity_id: str | None = None,
    limit: int | None = None,
) -> list[AuditEvent]:
    """The last events of an adapter, its versions and aliases, newest first.

    Args:
        entity: only of things of this kind.
        entity_id: only of this thing.
    """
    of_adapter = and_(AuditEventRow.entity == "adapter", AuditEventRow.entity_id == slug)
    of_parts = and_(
        AuditEventRow.entity.in_(["version", "alias"]),
        AuditEventRow.entity_id.startswith(f"{slug}@", autoescape=True),
    )
    statement = select(AuditEventRow).where(or_(of_adapter, of_parts))
    if entity is not None:
        statement = statement.where(AuditEventRow.entity == entity)
    if entity_id is not None:
        statement = statement.where(AuditEventRow.entity_id == entity_id)
    rows = session.scalars(statement.order_by(AuditEventRow.id.desc()).limit(limit))
    return [_event(row) for row in rows]


def _event(row: AuditEventRow) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        event_uid=row.event_uid,
        ts=row.ts,
        actor=row.actor,
        kind=row.kind,
        entity=row.entity,
        entity_id=row.entity_id,
        payload=row.payload,
    )
