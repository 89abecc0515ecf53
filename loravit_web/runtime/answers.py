"""Answers of exported tasks, read from logits as the app reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loravit_web.errors import LoraVitError
from loravit_web.runtime.layout import ExportedTask
from loravit_web.runtime.tensors import Array
from loravit_web.training.files.reliability import confidence, is_unsure
from loravit_web.util.labels import Labels, several


class NonFiniteAnswer(LoraVitError):
    """Logits that are infinite or NaN."""


@dataclass(frozen=True)
class ExportedLabel:
    """A class with its probability.

    Attributes:
        label: Name of the class.
        score: Calibrated probability, 0 to 1.
    """

    label: str
    score: float


@dataclass(frozen=True)
class ExportedAnswer:
    """Answer of a task for an image.

    Attributes:
        task: Exact version that answered.
        title: Title of the task.
        answer: What the image has, best first: one label, or with several labels per image also none.
        labels: Most probable classes, best first.
        labels_per_image: How many labels an image can have.
        unsure: Whether the scores do not clearly favor a class, or the image is nearly unlike the training
            images.
        unlike: Whether the image is unlike the training images; None if the task cannot tell.
        confidence: Confidence of the answer, 0 to 1; None if an image can have several labels.
        novelty: How unlike the training images the image is; above 1, unless the threshold was changed, it is
            unlike them. None if the task cannot tell.
    """

    task: str
    title: str
    answer: tuple[ExportedLabel, ...]
    labels: tuple[ExportedLabel, ...]
    labels_per_image: Labels
    unsure: bool
    unlike: bool | None
    confidence: float | None
    novelty: float | None

    @property
    def text(self) -> str:
        """The answer as a line."""
        return "; ".join(f"{label.label} {label.score:.0%}" for label in self.answer) or "none"

    def as_json(self) -> dict[str, Any]:
        """Return the document of the HTTP interface for a task."""
        return {
            "task": self.task,
            "answer": [label.label for label in self.answer],
            "labels_per_image": self.labels_per_image,
            "labels": [{"label": label.label, "score": label.score} for label in self.labels],
            "unsure": self.unsure,
            "unlike": self.unlike,
        }


def answer_of(task: ExportedTask, logits: Array, novelty: float | None, top_k: int) -> ExportedAnswer:
    """Return the answer of a task.

    Args:
        task: The task.
        logits: Logits (C,).
        novelty: How unlike the training images the image is, or None.
        top_k: Maximum number of labels.

    Raises:
        NonFiniteAnswer: If a logit is infinite or NaN.
    """
    if not bool(np.isfinite(logits).all()):
        raise NonFiniteAnswer(
            f"The logits of {task.task} for this image are not finite. Export another version of the task."
        )
    scores = probabilities(task, logits)
    order = np.argsort(-scores, kind="stable")
    ranked = tuple(ExportedLabel(task.class_names[i], float(scores[i])) for i in order)
    unlike = None if novelty is None else novelty > task.unlike_above
    if several(task.labels):
        over = tuple(
            label
            for label, i in zip(ranked, order, strict=True)
            if scores[i] >= np.float32(task.thresholds[i])
        )
        return ExportedAnswer(
            task.task, task.title, over, ranked[:top_k], task.labels, False, unlike, None, novelty
        )
    sure = confidence(*(label.score for label in ranked[:2]))
    return ExportedAnswer(
        task.task,
        task.title,
        ranked[:1],
        ranked[:top_k],
        task.labels,
        is_unsure(sure, novelty, unlike=task.unlike_above, unsure=task.unsure_below),
        unlike,
        sure,
        novelty,
    )


def probabilities(task: ExportedTask, logits: Array) -> Array:
    """Return calibrated probabilities (C,) of finite logits (C,)."""
    if several(task.labels):
        scaled = np.clip(logits / np.float32(task.temperature), -80, 80)  # beyond, float32 overflows
        return np.asarray(1 / (1 + np.exp(-scaled)), dtype=np.float32)
    # the softmax depends on differences only, which cannot overflow
    scaled = (logits - logits.max()) / np.float32(task.temperature)
    powers = np.exp(scaled)
    return np.asarray(powers / powers.sum(), dtype=np.float32)
