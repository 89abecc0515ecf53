"""Where a registry stands, as a value to compare: what its catalog and its runs have come to."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.audit import newest_event_id, restored_after
from registry.database.canonical import canonical_json
from registry.database.models import AuditEventRow, RunRow
from registry.forgetting import known_as_forgotten


@dataclass(frozen=True, slots=True)
class State:
    """Two equal states mean the same catalog, users and runs; how often versions were asked isn't part of it.

    Attributes:
        revision: of the catalog.
        event: the id of its newest change, which no other registry has; None before the first.
        run: the id of the newest run; None before the first.
        runs: how far all runs are.
    """

    revision: int
    event: str | None
    run: str | None
    runs: str

    def as_json(self) -> dict[str, Any]:
        """The document that `read_state` reads."""
        return asdict(self)


def read_state(document: Mapping[str, Any]) -> State:
    """KeyError or TypeError for anything else than a state's document."""
    return State(
        int(document["revision"]),
        None if document["event"] is None else str(document["event"]),
        None if document["run"] is None else str(document["run"]),
        str(document["runs"]),
    )


def state_of(session: Session) -> State:
    """Where the registry of a session stands."""
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
    """Whether the registry of a session came from there.

    It holds the newest change and run of that state, or has forgotten them, or somebody restored a backup in
    its place since.
    """
    if restored_after(session, state.revision):
        return True
    events = select(AuditEventRow.event_uid).where(AuditEventRow.event_uid == state.event)
    runs = select(RunRow.id).where(RunRow.id == state.run)
    known = {*session.scalars(events), *session.scalars(runs)}
    lacking = {one for one in (state.event, state.run) if one is not None and one not in known}
    return not lacking or lacking <= known_as_forgotten(session, lacking, after=state.revision)
