"""Who belongs to a team: people with a password of this app, and people whom the Hub vouches for."""

from __future__ import annotations

from loravit_web.access.actions import HUB, NameReserved, is_reserved, record_hub_user
from loravit_web.access.passwords import matches
from loravit_web.access.rights import NotAllowed, Visitor, member
from loravit_web.errors import LoraVitError
from loravit_web.settings.modes import HubRoles, Mode
from registry import UnknownUser, Users


class NotSignedIn(NotAllowed):
    """Somebody unknown asked for what needs a name."""


class NobodyYet(LoraVitError):
    """A team without anybody in it."""


class Members:
    """The people of a team, over the registry's table of users."""

    def __init__(self, users: Users) -> None:
        self._users = users

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
        if is_reserved(username):
            raise NameReserved(f"{username} is a name that the app uses itself: it can't sign in here.")
        role = roles.role(username)
        try:
            known = self._users.get(username)
        except UnknownUser:
            known = None
        if known is None or (known.provider, known.subject, known.role) != (HUB, subject, role):
            record_hub_user(self._users, subject, username, role)
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
