"""Visitors and their rights. Rights belong to roles, and every change names the right that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from loravit_web.errors import LoraVitError
from registry import Owners, Role, Visibility

Right = Literal["train", "import", "curate", "retire", "share", "manage"]
"""Right to change something.

``train``: upload images and train on them. ``import``: publish finished adapters. ``curate``: change titles,
tags and aliases. ``retire``: withdraw and archive one's own versions. ``share``: send an adapter elsewhere.
``manage``: do the same with the property of others, and change protected aliases.
"""

_EDITOR: frozenset[Right] = frozenset({"train", "import", "curate", "retire"})
RIGHTS: Mapping[Role, frozenset[Right]] = {
    "viewer": frozenset(),
    "editor": _EDITOR,
    "admin": _EDITOR | {"share", "manage"},
}


class NotAllowed(LoraVitError):
    """A request that the visitor's role does not allow."""


@dataclass(frozen=True)
class Visitor:
    """The person or program that makes a request, under the name that the history of changes shows.

    Attributes:
        name: Name in the history of changes.
        role: Role of the visitor.
        rights: Rights of the visitor.
        refused: Message for missing rights; None for a message about the role.
        source: Key by which limits are counted, if other than the name, such as an address.
    """

    name: str
    role: Role
    rights: frozenset[Right]
    refused: str | None = None
    source: str | None = None

    @property
    def counted_by(self) -> str:
        """Key by which limits are counted."""
        return self.source or self.name

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names under which the history has what the visitor made: in local mode, also with the shell."""
        return (LOCAL.name, SHELL.name) if self == LOCAL else (self.name,)

    @property
    def is_guest(self) -> bool:
        """Whether this is a visitor of a public demo, whose data is private."""
        return self.name in GUESTS and self != ANONYMOUS

    @property
    def visibility(self) -> Visibility:
        """What the visitor sees of the registry: everything except the data of other visitors of a demo."""
        return Visibility() if self.may("manage") else Visibility(GUESTS, own=self.name)

    def sees(self, owner: str) -> bool:
        """Return whether the visitor sees what belongs to an owner."""
        return owner == self.name or owner not in GUESTS or self.may("manage")

    def may(self, right: Right) -> bool:
        """Return whether the visitor has a right."""
        return right in self.rights

    def refusal(self, right: Right) -> str | None:
        """Return why the visitor lacks a right, or None."""
        if self.may(right):
            return None
        if self.refused is not None:
            return self.refused
        least = next(role for role, rights in RIGHTS.items() if right in rights)
        return (
            f"This needs {_a(least)}, but {self.name} is {_a(self.role)}. Ask an admin to do it or to change "
            "your role."
        )

    def must(self, right: Right) -> None:
        """Check a right.

        Raises:
            NotAllowed: If the visitor lacks the right.
        """
        if (sentence := self.refusal(right)) is not None:
            raise NotAllowed(sentence)

    def must_own(self, owner: str, what: str) -> None:
        """Check that the visitor owns something or may manage it.

        Args:
            owner: Name of the owner.
            what: Subject of the error's sentence.

        Raises:
            NotAllowed: If it belongs to another user and the visitor may not manage it.
        """
        if owner != self.name and not self.may("manage"):
            raise NotAllowed(f"{what} belongs to {owner}. Ask {owner} or an admin to do this.")


def guest(name: str, *, training: bool, source: str | None = None) -> Visitor:
    """Return a visitor of a public demo.

    Args:
        name: Name of the visitor.
        training: Whether the demo lets visitors train.
        source: Key by which limits are counted, or None for the name.
    """
    return Visitor(name, "viewer", frozenset({"train"} if training else ()), _IN_DEMO, source)


GUEST = "guest"
"""Prefix of the names of a demo's visitors."""
GUESTS = Owners(GUEST)
"""All visitors of a demo, as owners."""


def is_guest(name: str) -> bool:
    """Return whether a name is that of a demo's visitor."""
    return name in GUESTS


ANONYMOUS = Visitor(GUEST, "viewer", frozenset(), "Please sign in first, using the button above.")
"""Visitor who reads without signing in, where that is allowed."""
_IN_DEMO = "Visitors of this public demo cannot do this. Run the app yourself, or duplicate its Space."


def member(name: str, role: Role) -> Visitor:
    """Return a visitor with exactly the rights of a role."""
    return Visitor(name, role, RIGHTS[role])


LOCAL = member("page", "admin")
"""The only user of an app in local mode."""
SHELL = member("shell", "admin")
"""User of the shell, who can access all data on the machine anyway."""
APP = "loravit-web"
"""Actor recorded for changes that the app makes on its own."""


def _a(role: Role) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
