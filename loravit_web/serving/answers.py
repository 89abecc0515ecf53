"""Records of tasks and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loravit_web.training.files.reliability import (
    UNLIKE,
    UNSURE,
    doubt,
    is_nearly_unlike,
    is_unsure,
)
from loravit_web.util.labels import Labels
from registry import AS_TRAINED, Thresholds

NONE = "none"
"""Answer of a task with several labels for an image that has none of them."""


@dataclass(frozen=True)
class TaskInfo:
    """A task that users can choose.

    Attributes:
        task: Exact version, such as ``cifar10-objects@2``.
        slug: Name of the adapter. As a task it stands for the version of the alias `default`, or the newest.
        title: Title of the task.
        version: Number of the version.
        classes: Names of the classes by index.
        base: Name of the base.
        status: ``ready``, ``on demand`` if the base has to be loaded first, or ``unavailable``.
        reason: Why the task is unavailable, or None.
        labels: How many labels an image can have.
    """

    task: str
    slug: str
    title: str
    version: int
    classes: tuple[str, ...]
    base: str
    status: str
    reason: str | None
    labels: Labels = "one"


@dataclass(frozen=True)
class Label:
    """A class with its probability.

    Attributes:
        label: Name of the class.
        score: Calibrated probability, 0 to 1.
    """

    label: str
    score: float


@dataclass(frozen=True)
class TaskAnswer:
    """Answer of a task for an image: either labels or an error.

    Attributes:
        task: Exact version that answered, or the requested task after an error.
        title: Title of the task.
        labels: Most probable classes, best first.
        error: Error as text, or None.
        milliseconds: Compute time of the task's branch, without the shared trunk.
        novelty: How unlike the training images the image is, relative to the trained threshold. None if the
            version cannot tell.
        over: Classes whose probability reaches their threshold, best first, however many labels were asked
            for; None if an image has exactly one label.
        confidence: Confidence of the answer, 0 to 1; see `training.files.reliability`. None after an error,
            and if an image can have several labels.
        thresholds: Thresholds of the version that were changed after its training.
    """

    task: str
    title: str
    labels: tuple[Label, ...]
    error: str | None
    milliseconds: float
    novelty: float | None = None
    over: tuple[Label, ...] | None = None
    confidence: float | None = None
    thresholds: Thresholds = AS_TRAINED

    @property
    def labels_per_image(self) -> Labels | None:
        """How many labels an image can have; None after an error."""
        if self.error is not None:
            return None
        return "one" if self.over is None else "many"

    @property
    def answer(self) -> tuple[Label, ...]:
        """What the task says that the image has, best first: one label, or with several labels also none."""
        return self.labels[:1] if self.over is None else self.over

    @property
    def shown(self) -> tuple[Label, ...]:
        """The answer, followed by the other labels, each best first."""
        return (*self.answer, *(label for label in self.labels if label not in self.answer))

    @property
    def text(self) -> str:
        """The answer as a line, or the error."""
        if self.error is not None:
            return self.error
        return "; ".join(f"{label.label} {label.score:.0%}" for label in self.answer) or NONE

    @property
    def unlike(self) -> bool | None:
        """Whether the image is unlike anything that the task was trained on; None if that is unknown."""
        return None if self.novelty is None else self.novelty > unlike_above(self.thresholds)

    @property
    def unsure(self) -> bool:
        """Whether the scores do not clearly favor a class, or the image is nearly unlike the training images.

        With several labels no answer is unsure.
        """
        unlike, unsure = unlike_above(self.thresholds), unsure_below(self.thresholds)
        return is_unsure(self.confidence, self.novelty, unlike=unlike, unsure=unsure)

    @property
    def has_clear_winner(self) -> bool:
        """Whether the scores clearly favor a class."""
        return self.confidence is not None and self.confidence >= unsure_below(self.thresholds)

    @property
    def nearly_unlike(self) -> bool:
        """Whether the image is nearly unlike, or unlike, the training images."""
        return is_nearly_unlike(self.novelty, unlike=unlike_above(self.thresholds))

    @property
    def doubt(self) -> float | None:
        """One number for both: above 1 the answer is unsure, or the image unlike. None after an error."""
        if self.confidence is None and self.novelty is None:
            return None
        unlike, unsure = unlike_above(self.thresholds), unsure_below(self.thresholds)
        return doubt(self.confidence, self.novelty, unlike=unlike, unsure=unsure)


def unlike_above(thresholds: Thresholds) -> float:
    """Return the novelty above which an image is unlike the training images."""
    return UNLIKE if thresholds.unlike is None else thresholds.unlike


def unsure_below(thresholds: Thresholds) -> float:
    """Return the confidence below which an answer is unsure."""
    return UNSURE if thresholds.unsure is None else thresholds.unsure


@dataclass(frozen=True)
class Answer:
    """Answers of several tasks for an image.

    Attributes:
        results: Answer of each task, in the order of the request.
        milliseconds: Time from the decoded image to all labels.
    """

    results: tuple[TaskAnswer, ...]
    milliseconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the document of the HTTP interface."""
        return {
            "results": [
                {
                    "task": result.task,
                    "answer": [label.label for label in result.answer],
                    "labels_per_image": result.labels_per_image,
                    "labels": [{"label": label.label, "score": label.score} for label in result.labels],
                    "error": result.error,
                    "unsure": result.unsure,
                    "unlike": result.unlike,
                }
                for result in self.results
            ],
            "milliseconds": self.milliseconds,
        }
