"""Heartbeats of running runs, as an observer reads them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from registry.database.models import RunRow


@dataclass(frozen=True, slots=True)
class Heart:
    """The last heartbeat of a running run.

    Attributes:
        beat: when the worker wrote it, by the clock of the worker's machine.
        silence: how long ago that is by the clock of the reader's machine; negative if that clock is behind.
    """

    run_id: str
    worker: str | None
    beat: datetime | None
    silence: timedelta


def running_hearts(session: Session, now: datetime) -> list[Heart]:
    """Return the hearts of all running runs; one that never beat is silent forever."""
    statement = select(RunRow.id, RunRow.worker, RunRow.heartbeat_at).filter_by(status="running")
    return [
        Heart(run_id, worker, beat, timedelta.max if beat is None else now - beat)
        for run_id, worker, beat in session.execute(statement)
    ]


def prove_writable(session: Session, run_ids: Collection[str]) -> None:
    """Write the rows of these runs and leave them as they were.

    Both statements are needed: SQLite does not write a row that gets the values it has.
    """
    for step in (1, -1):
        session.execute(update(RunRow).where(RunRow.id.in_(run_ids)).values(resumed=RunRow.resumed + step))
