"""The audit events: who changed what. An event is written in the transaction of the change itself."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import Session

from registry.database.models import AdapterRow, AuditEventRow
from registry.records import AuditEvent
from registry.visibility import Visibility, visibility_of

RESTORED = "restored"
"""The kind of event that records a restored backup, which replaced everything."""
DELETED = "forgotten"
"""The kind of event that remains of a permanent deletion; see `registry.deletion`."""


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
    """Add an event to the transaction of the session."""
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
    """Return the id of the last event, 0 before the first. Ids are never reused."""
    return session.scalars(select(func.coalesce(func.max(AuditEventRow.id), 0))).one()


def restored_after(session: Session, event_id: int) -> bool:
    """Return whether a backup was restored after this event."""
    restored = select(AuditEventRow.id).where(AuditEventRow.kind == RESTORED, AuditEventRow.id > event_id)
    return session.scalars(restored.limit(1)).one_or_none() is not None


def renamed_after(session: Session, event_id: int) -> bool:
    """Return whether a name may have got another meaning after this event.

    That is the case after a backup was restored, or after a deletion that freed names.
    """
    changed = select(AuditEventRow.id).where(
        AuditEventRow.kind.in_((RESTORED, DELETED)), AuditEventRow.id > event_id
    )
    return session.scalars(changed.limit(1)).one_or_none() is not None


def has_deletions(session: Session) -> bool:
    """Return whether anything was ever deleted permanently."""
    events = select(AuditEventRow.id).where(AuditEventRow.entity == "registry", AuditEventRow.kind == DELETED)
    return session.scalars(events.limit(1)).one_or_none() is not None


def deletion_digests_after(session: Session, event_id: int) -> set[str]:
    """Return the digests of the runs and events that were deleted after this event."""
    events = select(AuditEventRow.payload).where(
        AuditEventRow.kind == DELETED, AuditEventRow.entity == "registry", AuditEventRow.id > event_id
    )
    return {trace for payload in session.scalars(events) for trace in payload["traces"]}


def newest_events(session: Session, limit: int) -> list[AuditEvent]:
    """Return the last events that the reader may see, newest first."""
    statement = select(AuditEventRow).where(_shown(visibility_of(session)))
    rows = session.scalars(statement.order_by(AuditEventRow.id.desc()).limit(limit))
    return [_event(row) for row in rows]


def _shown(visibility: Visibility) -> ColumnElement[bool]:
    """Return the condition that an event mentions nothing that is hidden from the reader."""
    if visibility.sees_everything:
        return true()
    prefix = AdapterRow.slug + "@"
    of_hidden = (
        select(AdapterRow.id)
        .where(visibility.hides(AdapterRow.owner))
        .where(
            or_(
                AuditEventRow.entity_id == AdapterRow.slug,
                func.substr(AuditEventRow.entity_id, 1, func.length(prefix)) == prefix,
            )
        )
    )
    return and_(visibility.shows(AuditEventRow.actor), ~of_hidden.exists())


def events_of(
    session: Session,
    slug: str,
    *,
    entity: str | None = None,
    entity_id: str | None = None,
    limit: int | None = None,
) -> list[AuditEvent]:
    """Return the last events of an adapter, its versions and its aliases, newest first.

    Args:
        session: any session.
        slug: the adapter.
        entity: only events of this kind of thing.
        entity_id: only events of the thing with this name.
        limit: at most this many events; None for all.
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
