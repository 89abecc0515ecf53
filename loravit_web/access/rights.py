"""Who asks, and what each may do: rights belong to roles, and every change names the one it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from loravit_web.errors import LoraVitError
from registry import Owners, Role, Visibility

Right = Literal["train", "import", "curate", "retire", "share", "manage"]
"""``train``: give images and train on them; ``import``: publish finished adapters; ``curate``: titles, tags
and aliases; ``retire``: withdraw and archive what is one's own; ``share``: send an adapter elsewhere;
``manage``: the same with what belongs to others, and protected aliases."""

_EDITOR: frozenset[Right] = frozenset({"train", "import", "curate", "retire"})
RIGHTS: Mapping[Role, frozenset[Right]] = {
    "viewer": frozenset(),
    "editor": _EDITOR,
    "admin": _EDITOR | {"share", "manage"},
}


class NotAllowed(LoraVitError):
    """A visitor asked for what their role does not allow."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who asks, under the name that the history of changes will show.

    Attributes:
        refused: the sentence for what they may not do; by default it tells their role.
        source: what limits are counted by, where that is more than the name; such as where they come from.
    """

    name: str
    role: Role
    rights: frozenset[Right]
    refused: str | None = None
    source: str | None = None

    @property
    def counted_by(self) -> str:
        """What their share of anything limited is counted by."""
        return self.source or self.name

    @property
    def is_guest(self) -> bool:
        """Whether they are a visitor of a public demo, whose things belong to them alone."""
        return self.name in GUESTS and self != ANYBODY

    @property
    def visibility(self) -> Visibility:
        """What they see of the registry: everything but what belongs to other visitors of a demo."""
        return Visibility() if self.may("manage") else Visibility(GUESTS, own=self.name)

    def sees(self, owner: str) -> bool:
        """Whether a thing of that owner exists for them."""
        return owner == self.name or owner not in GUESTS or self.may("manage")

    def may(self, right: Right) -> bool:
        """Whether the visitor has a right."""
        return right in self.rights

    def refusal(self, right: Right) -> str | None:
        """Why the visitor lacks a right, in one sentence; None where they have it."""
        if self.may(right):
            return None
        if self.refused is not None:
            return self.refused
        least = next(role for role, rights in RIGHTS.items() if right in rights)
        return f"This needs {_a(least)}, and {self.name} is {_a(self.role)}: ask an admin for it."

    def must(self, right: Right) -> None:
        """
        Raises:
            NotAllowed: if the visitor lacks the right.
        """
        if (sentence := self.refusal(right)) is not None:
            raise NotAllowed(sentence)

    def must_own(self, owner: str, what: str) -> None:
        """
        Raises:
            NotAllowed: if ``what`` belongs to somebody else and the visitor may not manage that.
        """
        if owner != self.name and not self.may("manage"):
            raise NotAllowed(f"{what} belongs to {owner}: only they or an admin can do this.")


def guest(name: str, *, training: bool, source: str | None = None) -> Visitor:
    """Somebody in a public demo, who may train where the demo lets its visitors."""
    return Visitor(name, "viewer", frozenset({"train"} if training else ()), _IN_DEMO, source)


GUEST = "guest"
"""The beginning of the names of a demo's visitors."""
GUESTS = Owners(GUEST)
"""All of them, as owners."""


def is_guest(name: str) -> bool:
    """Whether a name is that of a demo's visitor."""
    return name in GUESTS


ANYBODY = Visitor(GUEST, "viewer", frozenset(), "This needs a name: sign in with the button above first.")
"""Somebody who reads without having signed in, where that is allowed."""
_IN_DEMO = "Visitors of this public demo can't do this: run the app yourself, or duplicate its Space."


def member(name: str, role: Role) -> Visitor:
    """Somebody with exactly the rights of a role."""
    return Visitor(name, role, RIGHTS[role])


LOCAL = member("page", "admin")
"""The one person at the page of an app that runs for one person."""
SHELL = member("shell", "admin")
"""Whoever can run commands on the machine reaches all data anyway."""
APP = "loravit-web"
"""Under this name the app does what nobody asked for at that moment."""


def _a(role: Role) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
