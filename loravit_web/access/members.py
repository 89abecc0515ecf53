"""Members of a team: people with a password of this app, or an account on the Hub."""

from __future__ import annotations

from loravit_web.access.actions import HUB, NameReserved, is_reserved, record_hub_user
from loravit_web.access.passwords import matches
from loravit_web.access.rights import NotAllowed, Visitor, member
from loravit_web.errors import LoraVitError
from loravit_web.settings.modes import HubRoles, Mode
from registry import UnknownUser, Users


class NotSignedIn(NotAllowed):
    """A request that needs a member who is signed in."""


class NoMembers(LoraVitError):
    """A team without members."""


class Members:
    """The members of a team, stored in the registry's table of users.

    Args:
        users: Table of users.
    """

    def __init__(self, users: Users) -> None:
        self._users = users

    def is_password(self, username: str, password: str) -> bool:
        """Return whether a password is correct; takes about 0.3 s of a core."""
        return matches(password, self._users.password_hash(username))

    def security_stamp(self, username: str) -> str | None:
        """Return a stamp that every change of a member's password or role replaces for good.

        Returns:
            The stamp, or None if the name may not sign in.
        """
        return self._users.security_stamp(username)

    def may_sign_in(self, username: str) -> bool:
        """Return whether a member with this name has a password."""
        return self._users.password_hash(username) is not None

    def visitor(self, username: str | None) -> Visitor:
        """Return a member who signed in with a password, with the current rights.

        Raises:
            NotSignedIn: If the name may not sign in, or no longer.
        """
        if username is None or not self.may_sign_in(username):
            raise NotSignedIn("You are not signed in. Reload the page and sign in.")
        return member(username, self._users.get(username).role)

    def hub_visitor(self, subject: str, username: str, roles: HubRoles) -> Visitor:
        """Return a user of the Hub with the rights from the settings.

        Args:
            subject: Id of the user on the Hub.
            username: Name of the user on the Hub.
            roles: Roles from the settings.

        Raises:
            NameReserved: If the app uses the name itself.
            RegistryError: If another member has the name here.
        """
        if is_reserved(username):
            raise NameReserved(f"The name {username} is reserved for the app. Sign in with another account.")
        role = roles.role(username)
        try:
            known = self._users.get(username)
        except UnknownUser:
            known = None
        if known is None or (known.provider, known.subject, known.role) != (HUB, subject, role):
            record_hub_user(self._users, subject, username, role)
        return member(username, role)

    def check(self, *, mode: Mode, hub: bool) -> None:
        """Check that a team has a member who can sign in.

        Args:
            mode: Mode of the app.
            hub: Whether people can sign in through the Hub.

        Raises:
            NoMembers: If no one can sign in.
        """
        if (
            mode == "team"
            and not hub
            and not any(self.may_sign_in(user.username) for user in self._users.list())
        ):
            raise NoMembers(
                "The app runs in team mode, but it has no members. Add the first one with "
                "python -m loravit_web users add NAME --role admin."
            )
