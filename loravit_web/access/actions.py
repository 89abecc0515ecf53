"""Changes of the members of a team."""

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
"""Names under which the app itself makes changes."""


class NameReserved(LoraVitError):
    """A name that the app uses itself."""


class UserActions:
    """Changes of users by one visitor, whose name is recorded with each change.

    Args:
        registry: Registry with the table of users.
        visitor: Visitor who makes the changes.
    """

    def __init__(self, registry: Registry, visitor: Visitor) -> None:
        self.visitor = visitor
        self._users = registry.users

    @needs("manage")
    def add(self, username: str, password: str, role: Role) -> User:
        """Add a member with a password, or change the password and role of an existing one.

        Args:
            username: Name of the member.
            password: New password of the member.
            role: New role of the member.

        Returns:
            The user with the new role.

        Raises:
            NotAllowed: If the visitor is not an admin.
            NameReserved: If the app uses the name itself.
            UnusablePassword: If the password is too short or too long.
            RegistryError: If the name is invalid, or belongs to a user of the Hub.
        """
        if is_reserved(username):
            raise NameReserved(f"The name {username} is reserved for the app. Choose another name.")
        kept = hashed(password, random_bytes=os.urandom)
        self._users.ensure(PASSWORD, username, username, role, actor=self.visitor.name)
        self._users.set_password(username, kept, actor=self.visitor.name)
        return self.set_role(username, role)

    @needs("manage")
    def set_role(self, username: str, role: Role) -> User:
        """Change the role of a user.

        Args:
            username: Name of the user.
            role: New role of the user.

        Returns:
            The user with the new role.

        Raises:
            NotAllowed: If the visitor is not an admin.
            RegistryError: If there is no such user.
        """
        return self._users.set_role(username, role, actor=self.visitor.name)

    @needs("manage")
    def remove(self, username: str) -> User:
        """Prevent a user from signing in. The history of changes is kept.

        Args:
            username: Name of the user.

        Returns:
            The user, now a viewer.

        Raises:
            NotAllowed: If the visitor is not an admin.
            RegistryError: If there is no such user.
        """
        self._users.set_password(username, None, actor=self.visitor.name)
        return self.set_role(username, "viewer")


def record_hub_user(users: Users, subject: str, username: str, role: Role) -> None:
    """Record a user who signed in through the Hub, with the role from the settings.

    Args:
        users: Table of users.
        subject: Id of the user on the Hub.
        username: Name of the user on the Hub.
        role: Role of the user from now on.

    Raises:
        RegistryError: If another user has the name here.
    """
    known = users.ensure(HUB, subject, username, role)
    if known.role != role:
        users.set_role(username, role, actor=username)


def is_reserved(username: str) -> bool:
    """Return whether the app uses a name itself, or whether the name looks like one of a demo's visitors."""
    return username.lower() in RESERVED or rights.is_guest(username.lower())
