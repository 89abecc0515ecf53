"""Modes of the app, and the rights that they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from registry import Role

Mode = Literal["local", "team", "demo"]
Executor = Literal["local", "workers", "ray"]
Engine = Literal["auto", "torch", "openvino"]
"""What computes few images on a CPU: the faster one by measurement, PyTorch, or OpenVINO unmeasured."""
Serving = Literal["local", "ray"]


@dataclass(frozen=True)
class HubRoles:
    """Roles of people who sign in through the Hugging Face Hub; all others are viewers.

    Attributes:
        enabled: Whether people can sign in through the Hub.
        admins: Names of admins on the Hub.
        editors: Names of editors on the Hub.
    """

    enabled: bool = False
    admins: frozenset[str] = frozenset()
    editors: frozenset[str] = frozenset()

    def role(self, username: str) -> Role:
        """Return the role of a name on the Hub."""
        if username in self.admins:
            return "admin"
        return "editor" if username in self.editors else "viewer"


@dataclass(frozen=True)
class DemoRules:
    """What a visitor of a public demo may train.

    Attributes:
        training: Whether visitors may train.
        classes: Maximum number of classes of a training.
        images: Maximum number of images of a training.
        minutes: Maximum expected duration of a training, after which it also ends with its best epoch.
        runs: Maximum number of trainings of a visitor per day.
        hours: Hours without use after which everything of a visitor is deleted.
        datasets: Maximum number of stored datasets of a visitor.
        mib: Maximum size of the stored images of a visitor, in MiB.
        total_mib: Maximum size of the stored images of all visitors, in MiB.
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
