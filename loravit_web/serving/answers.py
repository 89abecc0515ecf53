"""Tasks and what they say to a picture, as records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SURE = 0.5
CLEAR_LEAD = 0.15
"""An answer is unsure below this score, or with a smaller lead over the next class."""


@dataclass(frozen=True)
class TaskInfo:
    """A task that can be picked.

    Attributes:
        task: the exact version, such as ``cifar10-objects@2``.
        slug: the adapter; as a task it means the newest version.
        status: ``ready``; ``on demand`` when its base is loaded once it is asked for, which takes a while;
            or ``unavailable`` with the ``reason``.
    """

    task: str
    slug: str
    title: str
    version: int
    classes: tuple[str, ...]
    base: str
    status: str
    reason: str | None


@dataclass(frozen=True)
class Label:
    """A class and its probability, 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True)
class TaskAnswer:
    """What one task says to one image; either labels, best first, or an error.

    Attributes:
        task: the exact version that answered, or what was asked for when none did.
        milliseconds: of its own branch when that was computed, the shared trunk apart.
    """

    task: str
    title: str
    labels: tuple[Label, ...]
    error: str | None
    milliseconds: float

    @property
    def unsure(self) -> bool:
        """Whether the calibrated scores name no clear winner."""
        scores = sorted((one.score for one in self.labels), reverse=True)
        if not scores:
            return False
        return scores[0] < SURE or (len(scores) > 1 and scores[0] - scores[1] < CLEAR_LEAD)


@dataclass(frozen=True)
class Answer:
    """What the picked tasks say to one image.

    Attributes:
        milliseconds: from the decoded picture to all labels.
    """

    results: tuple[TaskAnswer, ...]
    milliseconds: float

    def as_json(self) -> dict[str, Any]:
        """The document that the HTTP interface gives."""
        return {
            "results": [
                {
                    "task": result.task,
                    "labels": [{"label": one.label, "score": one.score} for one in result.labels],
                    "error": result.error,
                }
                for result in self.results
            ],
            "milliseconds": self.milliseconds,
        }
