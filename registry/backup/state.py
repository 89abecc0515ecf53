"""The state of a registry, as a value to compare: the last changes of its catalog and its runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.audit import newest_event_id, restored_after
from registry.database.canonical import canonical_json
from registry.database.models import AuditEventRow, RunRow
from registry.deletion import deleted_among


@dataclass(frozen=True, slots=True)
class State:
    """The state of catalog, users and runs, without usage counts. Equal states mean equal contents.

    Attributes:
        revision: the revision of the catalog.
        event: the unique id of the newest change, which no other registry has; None before the first.
        run: the id of the newest run; None before the first.
        runs: how far all runs are, in a form that can only be compared.
    """

    revision: int
    event: str | None
    run: str | None
    runs: str

    def as_json(self) -> dict[str, Any]:
        """Return the document that `read_state` reads."""
        return asdict(self)


def read_state(document: Mapping[str, Any]) -> State:
    """Parse the document of a state.

    Raises:
        KeyError: if an entry is missing.
        TypeError: if the document or an entry has another type.
    """
    return State(
        int(document["revision"]),
        None if document["event"] is None else str(document["event"]),
        None if document["run"] is None else str(document["run"]),
        str(document["runs"]),
    )


def state_of(session: Session) -> State:
    """Return the present state of the registry."""
    revision = newest_event_id(session)
    statuses = session.execute(select(RunRow.status, func.count()).group_by(RunRow.status)).all()
    moments = session.execute(
        select(
            func.max(RunRow.created_at),
            func.max(RunRow.started_at),
            func.max(RunRow.heartbeat_at),
            func.max(RunRow.ended_at),
            func.sum(RunRow.resumed),
            func.count(RunRow.stop_request),
        )
    ).one()
    return State(
        revision=revision,
        event=session.scalar(select(AuditEventRow.event_uid).where(AuditEventRow.id == revision)),
        run=session.scalar(select(RunRow.id).order_by(RunRow.created_at.desc(), RunRow.id).limit(1)),
        runs=canonical_json([{str(k): v for k, v in statuses}, *(m and str(m) for m in moments)]),
    )


def has_been_at(session: Session, state: State) -> bool:
    """Return whether the registry was once in this state.

    That is the case if it holds the newest change and run of the state or has deleted them permanently, or if
    a backup was restored into it since.
    """
    if restored_after(session, state.revision):
        return True
    events = select(AuditEventRow.event_uid).where(AuditEventRow.event_uid == state.event)
    runs = select(RunRow.id).where(RunRow.id == state.run)
    known = {*session.scalars(events), *session.scalars(runs)}
    unknown = {newest for newest in (state.event, state.run) if newest is not None and newest not in known}
    return not unknown or unknown <= deleted_among(session, unknown, after=state.revision)
