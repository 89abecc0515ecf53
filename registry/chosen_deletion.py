"""Permanent deletion of a version, an adapter or a run that a user names.

A deletion is refused if other records depend on the thing, and the error names them. The number of a deleted
version is not used again as long as its adapter exists.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.audit import DELETED, record_event
from registry.catalog.aliases import moves_of, naming
from registry.catalog.lookup import adapter_row, find_ref
from registry.database.db import Database
from registry.database.models import AdapterRow, RunRow, VersionRow
from registry.deletion import ACTIVE, Deletion, delete_rows, traces_of, versions_of
from registry.errors import RegistryError, UnknownRun
from registry.maintenance import Maintenance
from registry.records import Version
from registry.run_records import Run
from registry.runs.rows import is_shown, run_record


class VersionWasNamed(RegistryError):
    """A version that cannot be deleted, because an alias names it or named it."""

    def __init__(self, ref: str, aliases: Sequence[str]) -> None:
        super().__init__(ref, aliases)
        self.ref = ref
        self.aliases = tuple(aliases)

    def __str__(self) -> str:
        return (
            f"{self.ref} cannot be deleted, because {' and '.join(self.aliases)} named it. "
            "Withdraw the version instead."
        )


class OnlyVersion(RegistryError):
    """The only version of an adapter, which cannot be deleted alone."""

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.ref = ref

    def __str__(self) -> str:
        return (
            f"{self.ref} is the only version of its adapter. Archive the adapter, or ask an admin to "
            "delete the adapter."
        )


class StillTraining(RegistryError):
    """Something that a queued or running run needs."""

    def __init__(self, name: str, run_id: str) -> None:
        super().__init__(name, run_id)
        self.name = name
        self.run_id = run_id

    def __str__(self) -> str:
        return (
            f"{self.name} cannot be deleted while run {self.run_id[:8]} is queued or running. "
            "Cancel the run, or wait until it ends."
        )


class RunHasVersions(RegistryError):
    """A run that cannot be deleted, because it made versions that exist."""

    def __init__(self, run_id: str, refs: Sequence[str]) -> None:
        super().__init__(run_id, refs)
        self.run_id = run_id
        self.refs = tuple(refs)

    def __str__(self) -> str:
        made = " and ".join(self.refs)
        return f"Run {self.run_id[:8]} cannot be deleted, because it made {made}. Delete {made} first."


class Deletions:
    """Deletes what a user names, for good, and says beforehand whether it can.

    Files that nothing refers to any more are removed from the store after the rows.
    """

    def __init__(self, database: Database, maintenance: Maintenance) -> None:
        self._database = database
        self._maintenance = maintenance

    def deletable_version(self, ref: str) -> Version:
        """Return a version that `delete_version` would delete now.

        Raises:
            UnknownAdapter: if there is no such adapter.
            UnknownVersion: if the adapter has no such version.
            VersionWasNamed: if an alias names the version, or named it.
            OnlyVersion: if the adapter has no other version.
            StillTraining: if the run of the version has not ended.
        """
        with self._database.reading() as session:
            return _deletable_version(session, ref)[1]

    def deletable_adapter(self, slug: str) -> None:
        """Check that `delete_adapter` would delete an adapter now.

        Raises:
            UnknownAdapter: if there is no such adapter.
            StillTraining: if a run that would publish a version of it is queued or running.
        """
        with self._database.reading() as session:
            _deletable_adapter(session, slug)

    def deletable_run(self, run_id: str) -> Run:
        """Return a run that `delete_run` would delete now.

        Raises:
            UnknownRun: if there is no such run.
            StillTraining: if the run has not ended.
            RunHasVersions: if a version that the run made exists.
        """
        with self._database.reading() as session:
            return _deletable_run(session, run_id)

    def delete_version(self, ref: str, *, actor: str) -> Deletion:
        """Delete a version that no alias ever named; see `deletable_version`."""
        with self._database.writing() as session:
            adapter, version = _deletable_version(session, ref, lock=True)
            datasets, _ = delete_rows(session, [], [(version.id, adapter.id)], [], ())
            record_event(
                session,
                self._database.now(),
                actor=actor,
                kind=DELETED,
                entity="version",
                entity_id=version.ref,
                payload={"run": version.run_id, "weights_sha256": version.weights_sha256},
            )
        return self._cleaned(Deletion(versions=1, datasets=frozenset(datasets)))

    def delete_adapter(self, slug: str, *, actor: str) -> Deletion:
        """Delete an adapter, its versions, aliases and history; see `deletable_adapter`. Its runs stay."""
        with self._database.writing() as session:
            adapter = _deletable_adapter(session, slug, lock=True)
            versions = versions_of(session, [adapter.id], [])
            datasets, event_uids = delete_rows(session, [adapter.id], versions, [], {slug})
            self._record(session, actor, slug, traces_of(1, len(versions), (), event_uids))
        found = Deletion(adapters=frozenset({slug}), versions=len(versions), datasets=frozenset(datasets))
        return self._cleaned(found)

    def delete_run(self, run_id: str, *, actor: str) -> Deletion:
        """Delete an ended run with its curves and files; see `deletable_run`."""
        with self._database.writing() as session:
            run = _deletable_run(session, run_id, lock=True)
            datasets, _ = delete_rows(session, [], [], [run.id], ())
            self._record(session, actor, run.id, traces_of(0, 0, [run.id], ()))
        return self._cleaned(Deletion(runs=frozenset({run.id}), datasets=frozenset(datasets)))

    def _record(self, session: Session, actor: str, name: str, payload: dict[str, object]) -> None:
        now: datetime = self._database.now()
        record_event(
            session,
            now,
            actor=actor,
            kind=DELETED,
            entity="registry",
            entity_id=now.isoformat(timespec="seconds"),
            payload={**payload, "name": name},
        )

    def _cleaned(self, deletion: Deletion) -> Deletion:
        self._maintenance.remove_released()
        self._database.purge()
        return deletion


def _deletable_version(session: Session, ref: str, *, lock: bool = False) -> tuple[AdapterRow, Version]:
    adapter, version = find_ref(session, ref, lock=lock)
    moves = moves_of(session, adapter.slug)
    named = {move.alias for move in moves if version.version in (move.before, move.after)}
    if aliases := sorted({*named, *naming(session, version.id)}):
        raise VersionWasNamed(version.ref, aliases)
    others = select(func.count()).where(VersionRow.adapter_id == adapter.id, VersionRow.id != version.id)
    if not session.scalars(others).one():
        raise OnlyVersion(version.ref)
    of_run = select(RunRow.id).where(RunRow.id == version.run_id, RunRow.status.in_(ACTIVE))
    if (run_id := session.scalars(of_run).one_or_none()) is not None:
        raise StillTraining(version.ref, run_id)
    return adapter, version


def _deletable_adapter(session: Session, slug: str, *, lock: bool = False) -> AdapterRow:
    adapter = adapter_row(session, slug, lock=lock)
    active = select(RunRow.id).where(RunRow.slug == slug, RunRow.status.in_(ACTIVE)).limit(1)
    if (run_id := session.scalars(active).one_or_none()) is not None:
        raise StillTraining(slug, run_id)
    return adapter


def _deletable_run(session: Session, run_id: str, *, lock: bool = False) -> Run:
    row = session.get(RunRow, run_id, with_for_update=lock)
    if row is None or not is_shown(session, run_id):
        raise UnknownRun(run_id)
    if row.status in ACTIVE:
        raise StillTraining(f"Run {run_id[:8]}", run_id)
    made = (
        select(AdapterRow.slug, VersionRow.version)
        .join(AdapterRow, AdapterRow.id == VersionRow.adapter_id)
        .where(VersionRow.run_id == run_id)
        .order_by(AdapterRow.slug, VersionRow.version)
    )
    if refs := [f"{slug}@{version}" for slug, version in session.execute(made)]:
        raise RunHasVersions(run_id, refs)
    return run_record(session, run_id)
