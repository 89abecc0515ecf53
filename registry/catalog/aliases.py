"""Aliases: movable names for versions. Moving one is what promotes a version.

What an alias named before is told by the audit events alone, which nobody can change.
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
from registry.database.db import Database
from registry.database.models import AdapterRow, AliasRow, VersionRow
from registry.records import Alias, AliasMove, AliasMoveKind, AuditEvent
from registry.sight import sight_of

ALIAS_RULE = "[a-z][a-z0-9-]{0,31}"

# inside the class `list` is a method, so the annotations there need other words for the types
AliasList = list[Alias]
MoveList = list[AliasMove]


class Aliases:
    """The aliases of all adapters; each change is on record with who made it, and a change of nothing isn't.

    A protected alias is moved or removed only with `allow_protected`: who has that right is for the caller
    to know.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def promote(self, ref: str, alias: str, *, actor: str, allow_protected: bool = False) -> Alias:
        """Make the alias name the version of `ref`, wherever it was before.

        InvalidAlias, UnknownAdapter, UnknownVersion, VersionWithdrawn or AliasProtected otherwise.
        """
        validate_alias(alias)
        with self._database.writing() as session:
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
        """Make the alias name what it named before; once more goes one step further back.

        Versions withdrawn meanwhile are passed over.
        UnknownAdapter, UnknownAlias, AliasProtected or NothingToRollBack otherwise.
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
        """The version that `rollback` would lead to now.

        UnknownAdapter, UnknownAlias or NothingToRollBack otherwise.
        """
        with self._database.reading() as session:
            adapter = adapter_row(session, slug)
            row = _alias_row(session, adapter, alias)
            return _target(session, adapter, row, _in_use(session, adapter))

    def remove(self, slug: str, alias: str, *, actor: str, allow_protected: bool = False) -> None:
        """Take the alias away; UnknownAdapter, UnknownAlias or AliasProtected otherwise."""
        with self._database.writing() as session:
            adapter = adapter_row(session, slug, lock=True)
            row = _alias_row(session, adapter, alias)
            _check_permission(adapter, row, allow_protected)
            payload = {"from": _number(session, row.version_id), "to": None}
            session.delete(row)
            self._tell(session, slug, alias, "removed", payload, actor)

    def protect(self, slug: str, alias: str, *, actor: str) -> Alias:
        """Keep the alias where it is until somebody with the right to it moves it."""
        return self._protect(slug, alias, protected=True, actor=actor)

    def unprotect(self, slug: str, alias: str, *, actor: str) -> Alias:
        """Let everybody move the alias again; whoever calls this must have the right to."""
        return self._protect(slug, alias, protected=False, actor=actor)

    def list(self, slug: str) -> AliasList:
        """The aliases of an adapter by name, without the computed `latest`; or UnknownAdapter."""
        with self._database.reading() as session:
            return aliases_of(session, AdapterRow.id == adapter_row(session, slug).id)

    def history(self, slug: str, alias: str | None = None) -> MoveList:
        """What the alias named and when, newest first, also of a removed one; of every alias when None."""
        with self._database.reading() as session:
            adapter_row(session, slug)
            return _moves(session, slug, alias)[::-1]

    def _protect(self, slug: str, alias: str, *, protected: bool, actor: str) -> Alias:
        with self._database.writing() as session:
            adapter = adapter_row(session, slug, lock=True)
            row = _alias_row(session, adapter, alias)
            if row.protected != protected:
                row.protected = int(protected)
                kind = "protected" if protected else "unprotected"
                self._tell(session, slug, alias, kind, {}, actor)
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
        row.moved_at = self._tell(session, adapter.slug, row.alias, kind, payload, actor)
        session.add(row)
        return _record(session, adapter, row)

    def _tell(
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
    """Return `alias` unchanged, or raise InvalidAlias."""
    if alias == LATEST:
        raise InvalidAlias(alias, "it always means the newest version that isn't withdrawn")
    if re.match("v?[0-9]", alias):
        raise InvalidAlias(alias, "it looks like the number of a version, so use a word such as 'production'")
    if re.fullmatch(ALIAS_RULE, alias) is None:
        raise InvalidAlias(
            alias, "use 1 to 32 lower-case letters, digits and hyphens, beginning with a letter"
        )
    return alias


def aliases_of(session: Session, *conditions: ColumnElement[bool]) -> AliasList:
    """The aliases of the adapters that meet the conditions on AdapterRow, by name, in one query."""
    rows = session.execute(
        select(AdapterRow.slug, AliasRow, VersionRow.version)
        .join(AdapterRow, AdapterRow.id == AliasRow.adapter_id)
        .join(VersionRow, VersionRow.id == AliasRow.version_id)
        .where(*conditions, sight_of(session).shows(AdapterRow.owner))
        .order_by(AliasRow.alias, AdapterRow.slug)
    )
    return [_alias(*row) for row in rows]


def naming(session: Session, version_id: int) -> Sequence[str]:
    """The aliases that name a version, by name."""
    return session.scalars(
        select(AliasRow.alias).filter_by(version_id=version_id).order_by(AliasRow.alias)
    ).all()


def _target(session: Session, adapter: AdapterRow, row: AliasRow, in_use: Collection[int]) -> int:
    """What the alias named before, of the versions in use; or NothingToRollBack."""
    moves = _moves(session, adapter.slug, row.alias)
    target = _before(moves, _number(session, row.version_id), in_use)
    if target is None:
        raise NothingToRollBack(adapter.slug, row.alias)
    return target


def _before(moves: Iterable[AliasMove], now_at: int, in_use: Collection[int]) -> int | None:
    """The version that an undoing of the moves, oldest first, leads back to; None when there is none."""
    trail: list[int] = []
    for move in moves:
        if move.kind == "promoted" and move.after is not None:
            trail.append(move.after)
        elif move.kind == "rolled_back":
            while trail and trail[-1] != move.after:
                trail.pop()
    return next((one for one in reversed(trail) if one != now_at and one in in_use), None)


def _moves(session: Session, slug: str, alias: str | None) -> list[AliasMove]:
    """The moves of one alias of an adapter or of all, oldest first."""
    names = f"{slug}@{alias}" if alias is not None else None
    return [
        _move_record(event)
        for event in reversed(events_of(session, slug, entity="alias", entity_id=names))
        if event.kind in get_args(AliasMoveKind)
    ]


def _move_record(event: AuditEvent) -> AliasMove:
    return AliasMove(
        alias=event.entity_id.partition("@")[2],
        kind=event.kind,  # type: ignore[arg-type]  # _moves lets only these kinds through
        before=event.payload["from"],
        after=event.payload["to"],
        moved_at=event.ts,
        moved_by=event.actor,
    )


def _alias_row(session: Session, adapter: AdapterRow, alias: str) -> AliasRow:
    row = session.get(AliasRow, (adapter.id, alias))
    if row is None:
        raise UnknownAlias(
            adapter.slug, alias, [one.alias for one in aliases_of(session, AdapterRow.id == adapter.id)]
        )
    return row


def _check_permission(adapter: AdapterRow, row: AliasRow, allow_protected: bool) -> None:
    if row.protected and not allow_protected:
        raise AliasProtected(adapter.slug, row.alias)


def _in_use(session: Session, adapter: AdapterRow) -> dict[int, int]:
    """Number and row id of each version that isn't withdrawn."""
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
