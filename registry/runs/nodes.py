"""Nodes: processes that start workers on their machine, as they report themselves."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from registry.database.db import Database, insert_into
from registry.database.models import NodeRow, RunRow
from registry.run_records import Run
from registry.runs.rows import find_runs

SILENT_AFTER = timedelta(seconds=30)
"""Time without a report after which a node counts as silent."""
FORGOTTEN_AFTER = timedelta(days=1)
"""Time of silence after which a node is no longer listed."""


@dataclass(frozen=True, slots=True)
class Node:
    """A process that starts workers on its machine.

    Attributes:
        name: the name of the machine.
        slots: how many runs it trains at once.
        silent: the time since its last report.
        busy: how many runs its workers train, also those that the reader may not see.
        runs: those of them that the reader may see, newest first.
    """

    id: str
    name: str
    slots: int
    started_at: datetime
    seen_at: datetime
    silent: timedelta
    busy: int
    runs: tuple[Run, ...]

    @property
    def is_silent(self) -> bool:
        """Whether the node stopped reporting, which it does every few seconds."""
        return self.silent > SILENT_AFTER


class Nodes:
    """The nodes that train runs of this registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def report(self, node_id: str, name: str, slots: int) -> None:
        """Record that a node is alive.

        Args:
            node_id: the id that the node gave itself when it started.
            name: the name of its machine.
            slots: how many runs it trains at once.
        """
        with self._database.writing_row() as session:
            now = self._database.now_in(session)
            values = {"id": node_id, "name": name, "slots": slots, "started_at": now, "seen_at": now}
            session.execute(
                insert_into(NodeRow)
                .values(values)
                .on_conflict_do_update(index_elements=["id"], set_={"slots": slots, "seen_at": now})
            )

    def leave(self, node_id: str) -> None:
        """Remove a node that has ended, and those that have been silent for a day."""
        with self._database.writing() as session:
            gone = NodeRow.seen_at < self._database.now_in(session) - FORGOTTEN_AFTER
            session.execute(delete(NodeRow).where((NodeRow.id == node_id) | gone))

    def list(self) -> list[Node]:
        """Return the nodes that reported within a day, sorted by name."""
        with self._database.reading() as session:
            now = self._database.now_in(session)
            recent = NodeRow.seen_at >= now - FORGOTTEN_AFTER
            rows = session.scalars(select(NodeRow).where(recent).order_by(NodeRow.name, NodeRow.id)).all()
            ids = [row.id for row in rows]
            training = select(RunRow.node).where(RunRow.status == "running", RunRow.node.in_(ids))
            busy = list(session.scalars(training))
            runs = find_runs(session, RunRow.status == "running", RunRow.node.in_(ids)) if busy else []
            return [
                Node(
                    id=row.id,
                    name=row.name,
                    slots=row.slots,
                    started_at=row.started_at,
                    seen_at=row.seen_at,
                    silent=max(timedelta(), now - row.seen_at),
                    busy=busy.count(row.id),
                    runs=tuple(run for run in runs if run.node == row.id),
                )
                for row in rows
            ]
