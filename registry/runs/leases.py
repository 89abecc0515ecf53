"""Checks that a worker still holds the run that it writes."""

from sqlalchemy.orm import Session

from registry.database.models import RunRow
from registry.errors import RunLost
from registry.run_records import Lease


def require_held(session: Session, lease: Lease) -> RunRow:
    """Return the locked row of a run that is running under this lease.

    Raises:
        RunLost: if it is not.
    """
    row = session.get(RunRow, lease.run_id, with_for_update=True)
    if row is None or row.status != "running" or (row.worker, row.attempt) != (lease.worker, lease.attempt):
        raise RunLost(lease.run_id, lease.worker)
    return row
