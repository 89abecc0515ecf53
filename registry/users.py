"""The users of a team and their roles, with the password hashes of those who sign in with the app itself."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.audit import record_event
from registry.database.canonical import plain_json
from registry.database.db import Database, insert_into
from registry.database.models import UNKNOWN, AuditEventRow, PasswordRow, UserRow
from registry.errors import InvalidValue, UnknownUser, UsernameTaken
from registry.records import Role

USERNAME_RULE = r"[^\W_][\w.@+-]{0,63}"


@dataclass(frozen=True, slots=True)
class User:
    """A user of the registry.

    Attributes:
        provider: the sign-in provider that vouches for the user.
        subject: the id of the user at that provider, which identifies the user together with it.
        username: the name shown to people, unique in the registry.
    """

    provider: str
    subject: str
    username: str
    role: Role
    created_at: datetime


# inside the class, `list` is a method, so its annotations need another name for the type
UserList = list[User]


class Users:
    """All users. They are never deleted, because their changes stay on record under their names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(
        self, provider: str, subject: str, username: str, role: Role, *, actor: str | None = None
    ) -> User:
        """Return the user whom `provider` knows as `subject`, and add the user if new.

        A known user keeps the role and gets the name that the provider reports now. Safe for concurrent
        callers.

        Args:
            provider: the sign-in provider.
            subject: the id of the user at the provider.
            username: the name of the user at the provider.
            role: the role of a new user.
            actor: the user who adds the new one; by default the user adds themselves.

        Raises:
            InvalidValue: if a value is empty, or the name or the role is not valid.
            UsernameTaken: if another user already has the name.
        """
        _check(provider, subject, username, role)
        now = self._database.now()
        with self._database.writing() as session:
            inserted = session.scalars(
                insert_into(UserRow)
                .values(provider=provider, subject=subject, username=username, role=role, created_at=now)
                .on_conflict_do_nothing()
                .returning(UserRow.id)
            ).one_or_none()
            row = session.scalars(
                select(UserRow).filter_by(provider=provider, subject=subject).with_for_update()
            ).one_or_none()
            if row is None or row.username != username:
                _refuse_taken(session, username)
            if row is None:
                raise AssertionError("a new user was neither stored nor refused")
            if inserted is not None:
                self._record_event(
                    session, row, "added", {"provider": provider, "role": role}, actor or username
                )
            elif row.username != username:
                payload = {"from": row.username, "to": username}
                row.username = username
                self._record_event(session, row, "renamed", payload, actor or username)
            return _record(row)

    def get(self, username: str) -> User:
        """Return the user of this name.

        Raises:
            UnknownUser: if there is none.
        """
        with self._database.reading() as session:
            return _record(_row(session, username))

    def list(self) -> UserList:
        """Return all users, sorted by name."""
        with self._database.reading() as session:
            return [_record(row) for row in session.scalars(select(UserRow).order_by(UserRow.username))]

    def set_role(self, username: str, role: Role, *, actor: str) -> User:
        """Change the role of a user. Setting the present role again changes nothing."""
        _check_role(role)
        with self._database.writing() as session:
            row = _row(session, username, lock=True)
            if row.role != role:
                payload = {"from": row.role, "to": role}
                row.role = role
                self._record_event(session, row, "role_set", payload, actor)
            return _record(row)

    def password_hash(self, username: str) -> str | None:
        """Return the password hash of a user; None for an unknown user and for one without a password."""
        with self._database.reading() as session:
            return session.scalar(select(PasswordRow.hash).join(UserRow).where(UserRow.username == username))

    def security_stamp(self, username: str) -> str | None:
        """Return a text that differs after every change of a user's password or role.

        A text never comes back: a user who is removed and added again, or whose role is lowered and raised
        again, has a new one.

        Returns:
            None for an unknown user and for one without a password.
        """
        last = select(func.max(AuditEventRow.id)).where(
            AuditEventRow.entity == "user", AuditEventRow.entity_id == username
        )
        found = (
            select(UserRow.role, PasswordRow.hash, last.scalar_subquery())
            .join(PasswordRow)
            .where(UserRow.username == username)
        )
        with self._database.reading() as session:
            row = session.execute(found).one_or_none()
        if row is None:
            return None
        return hashlib.sha256("\0".join(map(str, row)).encode()).hexdigest()

    def set_password(self, username: str, hashed: str | None, *, actor: str) -> None:
        """Store or remove the password hash of a user.

        A user without a hash cannot sign in with a password. The history never contains the hash.

        Args:
            username: the user.
            hashed: the hash, in the format of the caller; None to remove it.
            actor: the user who makes the change.
        """
        with self._database.writing() as session:
            row = _row(session, username, lock=True)
            old = session.get(PasswordRow, row.id)
            if old is not None:
                session.delete(old)
                session.flush()
            if hashed is not None:
                session.add(PasswordRow(user_id=row.id, hash=hashed, set_at=self._database.now()))
            if hashed is not None or old is not None:
                kind = "password_removed" if hashed is None else "password_set"
                self._record_event(session, row, kind, {}, actor)

    def _record_event(
        self, session: Session, row: UserRow, kind: str, payload: Mapping[str, str], actor: str
    ) -> None:
        record_event(
            session,
            self._database.now(),
            actor=actor,
            kind=kind,
            entity="user",
            entity_id=row.username,
            payload=payload,
        )


def _check(provider: str, subject: str, username: str, role: Role) -> None:
    for field, value in (("the provider of a user", provider), ("the subject of a user", subject)):
        if not value.strip():
            raise InvalidValue(field, "it is empty. Give at least one character")
        plain_json(field, value)
    if re.fullmatch(USERNAME_RULE, username) is None or username == UNKNOWN:
        raise InvalidValue(
            f"the user name {username!r}",
            "it is not valid. Use 1 to 64 letters, digits or characters of . _ @ + -, starting with a letter "
            "or digit",
        )
    _check_role(role)


def _check_role(role: Role) -> None:
    if role not in get_args(Role):
        roles = ", ".join(get_args(Role))
        raise InvalidValue("the role of a user", f"{role!r} is unknown. Use one of {roles}")


def _refuse_taken(session: Session, username: str) -> None:
    taken = session.scalars(select(UserRow).filter_by(username=username)).one_or_none()
    if taken is not None:
        raise UsernameTaken(username, taken.provider)


def _row(session: Session, username: str, *, lock: bool = False) -> UserRow:
    statement = select(UserRow).filter_by(username=username)
    row = session.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise UnknownUser(username)
    return row


def _record(row: UserRow) -> User:
    return User(row.provider, row.subject, row.username, row.role, row.created_at)
