"""How many trainings may wait at once."""

from __future__ import annotations

from loravit_web.errors import LoraVitError
from registry import Registry


class QueueFull(LoraVitError):
    """As many trainings wait as may."""


def check_waiting(registry: Registry, most: int) -> None:
    """Look whether one more training may be queued. Two that look at the same instant may both be let in.

    Raises:
        QueueFull: if not.
    """
    waiting = registry.runs.count("queued")
    if waiting >= most:
        raise QueueFull(
            f"{waiting} training{'s wait' if waiting > 1 else ' waits'} already, which is the limit here: "
            "try again when one has begun."
        )
