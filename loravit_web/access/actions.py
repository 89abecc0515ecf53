"""What a visitor can change about the people of a team."""

from __future__ import annotations

import os

from loravit_web.access import rights
from loravit_web.access.guard import needs
from loravit_web.access.passwords import hashed
from loravit_web.access.rights import Visitor
from loravit_web.errors import LoraVitError
from registry import Registry, Role, User, Users

PASSWORD, HUB = "password", "huggingface"
RESERVED = {rights.LOCAL.name, rights.SHELL.name, rights.GUEST, rights.APP}
"""Names under which the app itself writes history."""


class NameReserved(LoraVitError):
    """A name that would be taken for the app's own."""


class UserActions:
    """Changes of users by one visitor; their name is recorded with each change."""

    def __init__(self, registry: Registry, visitor: Visitor) -> None:
        """Act for a visitor."""
        self.visitor = visitor
        self._users = registry.users

    @needs("manage")
    def add(self, username: str, password: str, role: Role) -> User:
        """Let somebody sign in with a password; a known name gets the new password and role.

        Raises:
            NameReserved: If the app itself uses the name.
            UnusablePassword, RegistryError: If password or name cannot be used.
        """
        if is_reserved(username):
            raise NameReserved(f"{username} is a name that the app uses itself: choose another.")
        kept = hashed(password, random_bytes=os.urandom)
        self._users.ensure(PASSWORD, username, username, role, actor=self.visitor.name)
        self._users.set_password(username, kept, actor=self.visitor.name)
        return self.set_role(username, role)

    @needs("manage")
    def set_role(self, username: str, role: Role) -> User:
        """Change what a user may do.

        Raises:
            RegistryError: If there is no such user.
        """
        return self._users.set_role(username, role, actor=self.visitor.name)

    @needs("manage")
    def remove(self, username: str) -> User:
        """Take a user's password and rights away; what was done under the name stays in the history.

        Raises:
            RegistryError: If there is no such user.
        """
        self._users.set_password(username, None, actor=self.visitor.name)
        return self.set_role(username, "viewer")


def record_hub_user(users: Users, subject: str, username: str, role: Role) -> None:
    """Record somebody who signed in through the Hub, with the role that the settings give them.

    Args:
        users: The table of users.
        subject: What the Hub tells them apart by.
        username: Their name there.
        role: Theirs from now on.

    Raises:
        RegistryError: If somebody else has the name here.
    """
    known = users.ensure(HUB, subject, username, role)
    if known.role != role:
        users.set_role(username, role, actor=username)


def is_reserved(username: str) -> bool:
    """Return whether the app itself writes history under a name, or under one that looks like it."""
    return username.lower() in RESERVED or rights.is_guest(username.lower())
