"""Aliases: movable names for versions. Moving an alias promotes a version.

The alias `default` also decides which version the name of an adapter means without a version.
Earlier targets of an alias are known only from the audit events, which cannot be changed.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import get_args

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from registry.audit import events_of, record_event
from registry.catalog.errors import AliasProtected, InvalidAlias, NothingToRollBack, UnknownAlias
from registry.catalog.lookup import LATEST, adapter_row, find_ref, refuse_withdrawn
from registry.catalog.summaries import refresh_summary
from registry.catalog.versions import DEFAULT_ALIAS
from registry.database.db import Database
from registry.database.models import AdapterRow, AliasRow, VersionRow
from registry.records import Alias, AliasMove, AliasMoveKind, AuditEvent
from registry.run_records import Lease
from registry.runs.leases import require_held
from registry.visibility import visibility_of

ALIAS_RULE = "[a-z][a-z0-9-]{0,31}"

# inside the class, `list` is a method, so its annotations need other names for the types
AliasList = list[Alias]
MoveList = list[AliasMove]


class Aliases:
    """The aliases of all adapters. Every change is recorded with its author; changes without effect are not.

    A protected alias is moved or removed only with `allow_protected`. The caller decides who has this right.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def promote(
        self,
        ref: str,
        alias: str,
        *,
        actor: str,
        allow_protected: bool = False,
        lease: Lease | None = None,
    ) -> Alias:
        """Make an alias name a version, whichever version it named before.

        Args:
            ref: the version, such as `slug@3`.
            alias: the alias, which is created if needed.
            actor: the author of the change.
            allow_protected: whether a protected alias may be moved.
            lease: if given, its run must be running under it.

        Raises:
            RunLost: if it is not.
            InvalidAlias: if the alias breaks `ALIAS_RULE`.
            UnknownAdapter: if there is no such adapter.
            UnknownVersion: if the adapter has no such version.
            VersionWithdrawn: if the version is withdrawn.
            AliasProtected: if the alias is protected and `allow_protected` is off.
        """
        validate_alias(alias)
        with self._database.writing() as session:
            if lease is not None:
                require_held(session, lease)
            adapter, version = find_ref(session, ref, lock=True)
            refuse_withdrawn(version)
            row = session.get(AliasRow, (adapter.id, alias))
            before = None
            if row is None:
                row = AliasRow(adapter_id=adapter.id, alias=alias, protected=0)
            elif row.version_id == version.id:
                return _record(session, adapter, row)
            else:
                _check_permission(adapter, row, allow_protected)
                before = _number(session, row.version_id)
            payload = {"from": before, "to": version.version}
            return self._move(session, adapter, row, version.id, "promoted", payload, actor)

    def rollback(self, slug: str, alias: str, *, actor: str, allow_protected: bool = False) -> Alias:
        """Make an alias name the version that it named before. Every further call goes one step further back.

        Withdrawn versions are skipped.

        Args:
            slug: the adapter.
            alias: the alias.
            actor: the author of the change.
            allow_protected: whether a protected alias may be moved.

        Raises:
            UnknownAdapter: if there is no such adapter.
            UnknownAlias: if the adapter has no such alias.
            AliasProtected: if the alias is protected and `allow_protected` is off.
            NothingToRollBack: if the alias named no other version that can still be used.
        """
        with self._database.writing() as session:
            adapter = adapter_row(session, slug, lock=True)
            row = _alias_row(session, adapter, alias)
            _check_permission(adapter, row, allow_protected)
            in_use = _in_use(session, adapter)
            target = _target(session, adapter, row, in_use)
            payload = {"from": _number(session, row.version_id), "to": target}
            return self._move(session, adapter, row, in_use[target], "rolled_back", payload, actor)

    def rollback_target(self, slug: str, alias: str) -> int:
        """Return the number of the version that `rollback` would lead to now.

        Raises:
            UnknownAdapter: if there is no such adapter.
            UnknownAlias: if the adapter has no such alias.
            NothingToRollBack: if the alias named no other version that can still be used.
        """
        with self._database.reading() as session:
            adapter = adapter_row(session, slug)
            row = _alias_row(session, adapter, alias)
            return _target(session, adapter, row, _in_use(session, adapter))

    def remove(
        self,
        slug: str,
        alias: str,
        *,
        actor: str,
        allow_protected: bool = False,
        lease: Lease | None = None,
    ) -> None:
        """Remove an alias.

        Args:
            slug: the adapter.
            alias: the alias.
            actor: the author of the change.
            allow_protected: whether a protected alias may be removed.
            lease: if given, its run must be running under it.

        Raises:
            RunLost: if it is not.
            UnknownAdapter: if there is no such adapter.
            UnknownAlias: if the adapter has no such alias.
            AliasProtected: if the alias is protected and `allow_protected` is off.
        """
        with self._database.writing() as session:
            if lease is not None:
                require_held(session, lease)
            adapter = adapter_row(session, slug, lock=True)
            row = _alias_row(session, adapter, alias)
            _check_permission(adapter, row, allow_protected)
            payload = {"from": _number(session, row.version_id), "to": None}
            session.delete(row)
            self._record_event(session, slug, alias, "removed", payload, actor)
            _update_summary(session, adapter, alias)

    def protect(self, slug: str, alias: str, *, actor: str) -> Alias:
        """Protect an alias, so that only users with a special right can move it."""
        return self._protect(slug, alias, protected=True, actor=actor)

    def unprotect(self, slug: str, alias: str, *, actor: str) -> Alias:
        """Remove the protection of an alias. The caller must check that the actor has the right to."""
        return self._protect(slug, alias, protected=False, actor=actor)

    def list(self, slug: str) -> AliasList:
        """Return the aliases of an adapter, sorted by name, without the computed `latest`.

        Raises:
            UnknownAdapter: if there is no such adapter.
        """
        with self._database.reading() as session:
            return aliases_of(session, AdapterRow.id == adapter_row(session, slug).id)

    def history(self, slug: str, alias: str | None = None) -> MoveList:
        """Return the moves of an alias of an adapter, newest first; of all its aliases if `alias` is None.

        Moves of removed aliases are included.

        Raises:
            UnknownAdapter: if there is no such adapter.
        """
        with self._database.reading() as session:
            adapter_row(session, slug)
            return moves_of(session, slug, alias)[::-1]

    def _protect(self, slug: str, alias: str, *, protected: bool, actor: str) -> Alias:
        with self._database.writing() as session:
            adapter = adapter_row(session, slug, lock=True)
            row = _alias_row(session, adapter, alias)
            if row.protected != protected:
                row.protected = int(protected)
                kind = "protected" if protected else "unprotected"
                self._record_event(session, slug, alias, kind, {}, actor)
            return _record(session, adapter, row)

    def _move(
        self,
        session: Session,
        adapter: AdapterRow,
        row: AliasRow,
        version_id: int,
        kind: AliasMoveKind,
        payload: Mapping[str, int | None],
        actor: str,
    ) -> Alias:
        row.version_id, row.moved_by = version_id, actor
        row.moved_at = self._record_event(session, adapter.slug, row.alias, kind, payload, actor)
        session.add(row)
        _update_summary(session, adapter, row.alias)
        return _record(session, adapter, row)

    def _record_event(
        self,
        session: Session,
        slug: str,
        alias: str,
        kind: str,
        payload: Mapping[str, int | None],
        actor: str,
    ) -> datetime:
        now = self._database.now()
        record_event(
            session,
            now,
            actor=actor,
            kind=kind,
            entity="alias",
            entity_id=f"{slug}@{alias}",
            payload=payload,
        )
        return now


def validate_alias(alias: str) -> str:
    """Return `alias` unchanged if it is a valid alias.

    Raises:
        InvalidAlias: if it breaks `ALIAS_RULE`, is reserved, or looks like a version number.
    """
    if alias == LATEST:
        problem = "it always names the newest version that is not withdrawn. Use a name such as 'production'"
        raise InvalidAlias(alias, problem)
    if re.match("v?[0-9]", alias):
        raise InvalidAlias(alias, "it looks like a version number. Use a name such as 'production'")
    if re.fullmatch(ALIAS_RULE, alias) is None:
        raise InvalidAlias(
            alias,
            "it is not valid. Use 1 to 32 lowercase letters, digits and hyphens, starting with a letter",
        )
    return alias


def aliases_of(session: Session, *conditions: ColumnElement[bool]) -> AliasList:
    """Return the aliases of the adapters that meet the conditions on AdapterRow, sorted, in one query."""
    rows = session.execute(
        select(AdapterRow.slug, AliasRow, VersionRow.version)
        .join(AdapterRow, AdapterRow.id == AliasRow.adapter_id)
        .join(VersionRow, VersionRow.id == AliasRow.version_id)
        .where(*conditions, visibility_of(session).shows(AdapterRow.owner))
        .order_by(AliasRow.alias, AdapterRow.slug)
    )
    return [_alias(*row) for row in rows]


def naming(session: Session, version_id: int) -> Sequence[str]:
    """Return the aliases that name a version, sorted."""
    return session.scalars(
        select(AliasRow.alias).filter_by(version_id=version_id).order_by(AliasRow.alias)
    ).all()


def _target(session: Session, adapter: AdapterRow, row: AliasRow, in_use: Collection[int]) -> int:
    """Return the number that the alias named before, or raise NothingToRollBack."""
    moves = moves_of(session, adapter.slug, row.alias)
    target = _before(moves, _number(session, row.version_id), in_use)
    if target is None:
        raise NothingToRollBack(adapter.slug, row.alias)
    return target


def _before(moves: Iterable[AliasMove], present: int, in_use: Collection[int]) -> int | None:
    """Return the version that undoing the moves leads back to, or None; `moves` are oldest first."""
    trail: list[int] = []
    for move in moves:
        if move.kind == "promoted" and move.after is not None:
            trail.append(move.after)
        elif move.kind == "rolled_back":
            while trail and trail[-1] != move.after:
                trail.pop()
    return next((number for number in reversed(trail) if number != present and number in in_use), None)


def moves_of(session: Session, slug: str, alias: str | None = None) -> MoveList:
    """Return the moves of an alias of an adapter, or of all its aliases, oldest first."""
    names = f"{slug}@{alias}" if alias is not None else None
    return [
        _move_record(event)
        for event in reversed(events_of(session, slug, entity="alias", entity_id=names))
        if event.kind in get_args(AliasMoveKind)
    ]


def _move_record(event: AuditEvent) -> AliasMove:
    return AliasMove(
        alias=event.entity_id.partition("@")[2],
        kind=event.kind,  # type: ignore[arg-type]  # moves_of lets only these kinds through
        before=event.payload["from"],
        after=event.payload["to"],
        moved_at=event.ts,
        moved_by=event.actor,
    )


def _alias_row(session: Session, adapter: AdapterRow, alias: str) -> AliasRow:
    row = session.get(AliasRow, (adapter.id, alias))
    if row is None:
        known = aliases_of(session, AdapterRow.id == adapter.id)
        raise UnknownAlias(adapter.slug, alias, [existing.alias for existing in known])
    return row


def _update_summary(session: Session, adapter: AdapterRow, alias: str) -> None:
    if alias == DEFAULT_ALIAS:
        refresh_summary(session, adapter)


def _check_permission(adapter: AdapterRow, row: AliasRow, allow_protected: bool) -> None:
    if row.protected and not allow_protected:
        raise AliasProtected(adapter.slug, row.alias)


def _in_use(session: Session, adapter: AdapterRow) -> dict[int, int]:
    """Return the row id of each version that is not withdrawn, by number."""
    rows = session.execute(
        select(VersionRow.version, VersionRow.id).where(
            VersionRow.adapter_id == adapter.id, VersionRow.withdrawn_at.is_(None)
        )
    )
    return dict(rows.all())


def _number(session: Session, version_id: int) -> int:
    return session.scalars(select(VersionRow.version).filter_by(id=version_id)).one()


def _record(session: Session, adapter: AdapterRow, row: AliasRow) -> Alias:
    return _alias(adapter.slug, row, _number(session, row.version_id))


def _alias(slug: str, row: AliasRow, version: int) -> Alias:
    return Alias(slug, row.alias, version, bool(row.protected), row.moved_at, row.moved_by)
