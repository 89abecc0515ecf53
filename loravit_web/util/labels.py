"""How many labels an image of a task can have."""

from __future__ import annotations

from typing import Literal, get_args

Labels = Literal["one", "many"]
"""``one`` if each image has exactly one label, ``many`` if it can have none, one or several."""

LABELS: tuple[Labels, ...] = get_args(Labels)


def several(labels: Labels) -> bool:
    """Return whether an image can have several labels."""
    return labels == "many"
