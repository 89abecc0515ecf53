"""Heartbeats of running runs, as an observer reads them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from registry.database.models import RunRow


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last heartbeat of a running run.

    Attributes:
        sent_at: when the worker wrote it; None if it never wrote any.
        age: the time since then by the clock of the database; see `Database.now_in`.
    """

    run_id: str
    worker: str | None
    sent_at: datetime | None
    age: timedelta


def running_heartbeats(session: Session, now: datetime) -> list[Heartbeat]:
    """Return the last heartbeat of every running run. A run without one has an infinite age."""
    statement = select(RunRow.id, RunRow.worker, RunRow.heartbeat_at).filter_by(status="running")
    return [
        Heartbeat(run_id, worker, sent_at, timedelta.max if sent_at is None else now - sent_at)
        for run_id, worker, sent_at in session.execute(statement)
    ]


def prove_writable(session: Session, run_ids: Collection[str]) -> None:
    """Write the rows of these runs without changing them, which fails if the database refuses writes.

    Two statements are needed, because SQLite does not write a row whose values stay the same.
    """
    rows = select(RunRow.id).where(RunRow.id.in_(run_ids)).order_by(RunRow.id)
    session.execute(rows.with_for_update())  # in one order, so that two observers never wait for each other
    for step in (1, -1):
        session.execute(update(RunRow).where(RunRow.id.in_(run_ids)).values(resumed=RunRow.resumed + step))
