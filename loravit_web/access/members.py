"""Who belongs to a team: people with a password of this app, and people whom the Hub vouches for."""

from __future__ import annotations

import os

from loravit_web.access import rights
from loravit_web.access.passwords import hashed, matches
from loravit_web.access.rights import NotAllowed, Visitor, member
from loravit_web.errors import LoraVitError
from loravit_web.settings.modes import HubRoles, Mode
from registry import Role, UnknownUser, User, Users

PASSWORD, HUB = "password", "huggingface"
RESERVED = {rights.LOCAL.name, rights.SHELL.name, rights.GUEST, rights.APP}
"""Names under which the app itself writes history."""


class NameReserved(LoraVitError):
    """A name that would be taken for the app's own."""


class NotSignedIn(NotAllowed):
    """Somebody unknown asked for what needs a name."""


class NobodyYet(LoraVitError):
    """A team without anybody in it."""


class Members:
    """The people of a team, over the registry's table of users."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def add(self, username: str, password: str, role: Role, *, actor: str) -> User:
        """Let somebody sign in with a password; the same name again gets the new password and role.

        Raises:
            NameReserved: if the app itself uses the name.
            UnusablePassword, RegistryError: if password or name can't be used.
        """
        if _is_reserved(username):
            raise NameReserved(f"{username} is a name that the app uses itself: choose another.")
        kept = hashed(password, random_bytes=os.urandom)
        self._users.ensure(PASSWORD, username, username, role, actor=actor)
        self._users.set_password(username, kept, actor=actor)
        return self._users.set_role(username, role, actor=actor)

    def remove(self, username: str, *, actor: str) -> User:
        """Let nobody sign in under a name any more; what was done under it stays in the history."""
        self._users.set_password(username, None, actor=actor)
        return self._users.set_role(username, "viewer", actor=actor)

    def is_password(self, username: str, password: str) -> bool:
        """Return whether this is the password of that name; takes about 0.3 s of a core."""
        return matches(password, self._users.password_hash(username))

    def standing(self, username: str) -> str | None:
        """Return a text that every change of a member's password or role makes another, for good.

        None for somebody who may not sign in.
        """
        return self._users.security_stamp(username)

    def may_sign_in(self, username: str) -> bool:
        """Whether there is somebody of that name with a password."""
        return self._users.password_hash(username) is not None

    def visitor(self, username: str | None) -> Visitor:
        """Somebody who signed in with a password, with what they may do now.

        Raises:
            NotSignedIn: if nobody may sign in under the name, or not any more.
        """
        if username is None or not self.may_sign_in(username):
            raise NotSignedIn("You are not signed in: reload the page and sign in.")
        return member(username, self._users.get(username).role)

    def hub_visitor(self, subject: str, username: str, roles: HubRoles) -> Visitor:
        """Somebody whom the Hub knows, with what the settings let them do.

        Raises:
            NameReserved: if the app itself uses the name.
            RegistryError: if somebody else has the name here.
        """
        if _is_reserved(username):
            raise NameReserved(f"{username} is a name that the app uses itself: it can't sign in here.")
        role = roles.role(username)
        try:
            known = self._users.get(username)
        except UnknownUser:
            known = None
        if known is None or (known.provider, known.subject) != (HUB, subject):
            known = self._users.ensure(HUB, subject, username, role)
        if known.role != role:
            self._users.set_role(username, role, actor=username)
        return member(username, role)

    def check(self, *, mode: Mode, hub: bool) -> None:
        """
        Raises:
            NobodyYet: if the app is for a team in which nobody could sign in.
        """
        if (
            mode == "team"
            and not hub
            and not any(self.may_sign_in(user.username) for user in self._users.list())
        ):
            raise NobodyYet(
                "The app runs for a team and nobody can sign in yet: make the first user with "
                "python -m loravit_web users add NAME --role admin."
            )


def _is_reserved(username: str) -> bool:
    return username.lower() in RESERVED or rights.is_guest(username.lower())
