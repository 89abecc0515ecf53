"""The order of the queue: members take turns, so that nobody's runs wait behind all runs of another one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from registry.database.models import RunRow


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued run."""

    id: str
    member: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What a member has been given so far.

    Attributes:
        running: the number of the member's running runs.
        served_at: when a run of the member was last claimed; None if none ever was.
    """

    running: int = 0
    served_at: datetime | None = None


def fair_order(waiting: list[Waiting], standings: dict[str, Standing]) -> Iterator[Waiting]:
    """Yield the queued runs in the order in which they are claimed if none ends meanwhile.

    The next run is one of a member with the fewest running runs. Among these, it is the one that has waited
    longest since it was queued, or since a run of the same member was last claimed if that was later. So a
    member with many runs waits for one run of each other member, and a stream of new members cannot hold up
    an earlier one. The runs of a member keep their order.

    Args:
        waiting: the queued runs.
        standings: by member; members without any are left out.
    """
    queues: dict[str, list[Waiting]] = {}
    for run in sorted(waiting, key=lambda run: (run.since, run.id), reverse=True):
        queues.setdefault(run.member, []).append(run)
    running = {member: standings.get(member, Standing()).running for member in queues}
    served_at = {member: standings.get(member, Standing()).served_at for member in queues}
    turns = dict.fromkeys(queues, 0)

    def key(member: str) -> tuple[int, int, datetime, datetime, str]:
        run, served = queues[member][-1], served_at[member]
        since = run.since if served is None else max(run.since, served)
        return running[member], turns[member], since, run.since, run.id

    turn = 0
    while queues:
        member = min(queues, key=key)
        yield queues[member].pop()
        turn += 1
        running[member], turns[member] = running[member] + 1, turn
        if not queues[member]:
            del queues[member]


def queued_runs(session: Session) -> list[Waiting]:
    """Return the queued runs in the order in which they are claimed if none ends meanwhile."""
    waiting = [
        Waiting(*row)
        for row in session.execute(
            select(RunRow.id, RunRow.created_by, RunRow.created_at).filter_by(status="queued")
        )
    ]
    members = {run.member for run in waiting}
    if len(members) < 2:  # the order is that of the only member
        return sorted(waiting, key=lambda run: (run.since, run.id))
    is_running = case((RunRow.status == "running", 1), else_=0)
    standings = {
        member: Standing(running, served_at)
        for member, running, served_at in session.execute(
            select(RunRow.created_by, func.sum(is_running), func.max(RunRow.started_at))
            .where(RunRow.created_by.in_(members))
            .group_by(RunRow.created_by)
        )
    }
    return list(fair_order(waiting, standings))
