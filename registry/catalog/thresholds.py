"""Thresholds above or below which the answers of a version are called unlike or unsure.

They are stored beside the version, whose files and row never change.
"""

from dataclasses import asdict

from sqlalchemy.orm import Session

from registry.audit import record_event
from registry.catalog.lookup import find_ref, refuse_withdrawn
from registry.catalog.versions import find_versions
from registry.database.canonical import number
from registry.database.db import Database
from registry.database.models import VersionRow, VersionThresholdsRow
from registry.records import AS_TRAINED, Thresholds, Version

LOWEST_UNLIKE, HIGHEST_UNLIKE = 0.01, 100.0
"""Range of the factor of the trained threshold."""


class VersionThresholds:
    """The thresholds of all versions. Every change is recorded with its author."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, ref: str, thresholds: Thresholds, *, actor: str) -> Version:
        """Set the thresholds of a version. A change without effect is not recorded.

        Args:
            ref: the version, such as `slug@3`.
            thresholds: the thresholds; `AS_TRAINED` resets all of them.
            actor: the author of the change.

        Raises:
            UnknownAdapter: if there is no such adapter.
            UnknownVersion: if the adapter has no such version.
            VersionWithdrawn: if the version is withdrawn.
            InvalidValue: if a threshold is out of range.
        """
        check_thresholds(thresholds)
        with self._database.writing() as session:
            _adapter, version = find_ref(session, ref, lock=True)
            refuse_withdrawn(version)
            if thresholds == version.thresholds:
                return version
            _write(session, version.id, thresholds)
            record_event(
                session,
                self._database.now(),
                actor=actor,
                kind="adjusted",
                entity="version",
                entity_id=version.ref,
                payload={"from": asdict(version.thresholds), "to": asdict(thresholds)},
            )
            session.flush()
            return find_versions(session, VersionRow.id == version.id)[0]


def check_thresholds(thresholds: Thresholds) -> None:
    """Raise InvalidValue for thresholds that are out of range."""
    if thresholds.unlike is not None:
        number("the threshold of unlike", thresholds.unlike, low=LOWEST_UNLIKE, high=HIGHEST_UNLIKE)
    if thresholds.unsure is not None:
        number("the threshold of unsure", thresholds.unsure, low=0, high=1)


def _write(session: Session, version_id: int, thresholds: Thresholds) -> None:
    row = session.get(VersionThresholdsRow, version_id)
    if row is None:
        row = VersionThresholdsRow(version_id=version_id)
        session.add(row)
    if thresholds == AS_TRAINED:
        session.delete(row)
        return
    row.unlike = None if thresholds.unlike is None else float(thresholds.unlike)
    row.unsure = None if thresholds.unsure is None else float(thresholds.unsure)
