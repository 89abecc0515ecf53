"""For whom the app runs, and what that lets them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from registry import Role

Mode = Literal["local", "team", "demo"]


@dataclass(frozen=True)
class HubRoles:
    """What people may do who sign in through the Hugging Face Hub; who is in neither list is a viewer.

    Attributes:
        enabled: whether one can sign in that way.
        admins, editors: names on the Hub.
    """

    enabled: bool = False
    admins: frozenset[str] = frozenset()
    editors: frozenset[str] = frozenset()

    def role(self, username: str) -> Role:
        """The role of somebody by their name there."""
        if username in self.admins:
            return "admin"
        return "editor" if username in self.editors else "viewer"


@dataclass(frozen=True)
class DemoRules:
    """What a visitor of a public demo may train.

    Attributes:
        training: whether they may at all.
        classes, images: most in one training.
        minutes: most that one training is expected to take, and after which it ends with its best so far.
        runs: most trainings of one visitor in a day.
        hours: after which all that a visitor gave is deleted, since something was last done with it.
        datasets: most that are kept of one visitor.
        mib: most bytes of images that are kept of one visitor, in MiB.
        total_mib: the same of all visitors together.
    """

    training: bool = False
    classes: int = 10
    images: int = 500
    minutes: float = 3.0
    runs: int = 3
    hours: float = 24.0
    datasets: int = 10
    mib: float = 200.0
    total_mib: float = 2048.0
