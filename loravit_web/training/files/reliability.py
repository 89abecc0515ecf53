"""Reliability: how well a version tells what it does not know, on its own validation and test images.

The values of each image are stored, and not counts, because the thresholds of a version can be changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # commands that show adapters start without torch
    import torch

UNSURE = 0.5
"""Confidence below which an answer is unsure, unless the version has another threshold."""
UNLIKE = 1.0
"""Novelty above which an image is unlike the training images, unless the version has another threshold."""
NEARLY_UNLIKE = 0.85
"""Fraction of the threshold of unlike above which an answer is unsure, however clear its scores are.

Fewer answers of tasks that do not fit are shown as sure: 10 instead of 17 of 104. It makes at most 0.2 % more
of a bundled task's own test images unsure; see ``python -m benchmarks misfits``.
"""
CLEAR_LEAD = 0.3
"""Lead over the second class, relative to the best score, that lowers the confidence no more."""
_LEAST = 1e-3
MOST_IMAGES = 500
"""Number of images of a split whose values are stored."""


def confidence(best: float, second: float = 0.0) -> float:
    """Return the confidence of an answer, 0 to 1: its best score, or less if the second class is close.

    Args:
        best: Probability of the most probable class.
        second: Probability of the second class, or 0 if there is none.
    """
    return min(best, (best - second) / CLEAR_LEAD)


def is_unsure(confidence: float | None, novelty: float | None, *, unlike: float, unsure: float) -> bool:
    """Return whether an answer is unsure: no class is clearly ahead, or the image is nearly unlike.

    Args:
        confidence: Confidence of the answer, 0 to 1, or None if an image can have several labels. Such an
            answer is never unsure.
        novelty: Novelty of the image, or None if the version cannot tell.
        unlike: Novelty above which an image is unlike the training images.
        unsure: Confidence below which an answer is unsure.
    """
    if confidence is None:
        return False
    return confidence < unsure or is_nearly_unlike(novelty, unlike=unlike)


def is_nearly_unlike(novelty: float | None, *, unlike: float) -> bool:
    """Return whether an image is unlike the training images, or nearly so.

    Args:
        novelty: Novelty of the image, or None if the version cannot tell.
        unlike: Novelty above which an image is unlike the training images.
    """
    return novelty is not None and novelty > NEARLY_UNLIKE * unlike


def doubt(confidence: float | None, novelty: float | None, *, unlike: float, unsure: float) -> float:
    """Return one number for both kinds of doubt: above 1 an answer is unsure, or its image is unlike.

    It is the mean of the two, each relative to its threshold, and 1 more beyond one of the thresholds. The
    mean told classes that were left out of a training better than the larger of the two did (AUROC 0.77
    instead of 0.76); see ``python -m benchmarks novelty``.

    Args:
        confidence: Confidence of the answer, 0 to 1, or None if an image can have several labels.
        novelty: Novelty of the image, or None if the version cannot tell; at least one of the two is known.
        unlike: Novelty above which an image is unlike the training images.
        unsure: Confidence below which an answer is unsure.
    """
    shares = []
    if confidence is not None:
        shares.append((1 - confidence) / max(1 - unsure, _LEAST))
    if novelty is not None:
        shares.append(novelty / unlike)
    is_told = is_unsure(confidence, novelty, unlike=unlike, unsure=unsure) or (novelty or 0) > unlike
    return sum(shares) / len(shares) + is_told


@dataclass(frozen=True, slots=True)
class Told:
    """What a version would tell about its own images.

    Attributes:
        n: Number of images.
        unlike: Number of images called unlike the training images; None if the version cannot tell.
        unsure: Number of other images whose answer is called unsure.
        correct: Number of correct answers among those called neither.
    """

    n: int
    unlike: int | None
    unsure: int
    correct: int

    @property
    def sure(self) -> int:
        """Number of images called neither unlike nor unsure."""
        return self.n - (self.unlike or 0) - self.unsure


@dataclass(frozen=True, slots=True)
class Reliability:
    """Values of up to `MOST_IMAGES` images of one split.

    Attributes:
        novelty: Novelty of each image, or None if the version cannot tell.
        confidence: Confidence of the answer for each image.
        correct: Whether the answer for each image is correct.
    """

    novelty: tuple[float, ...] | None
    confidence: tuple[float, ...]
    correct: tuple[bool, ...]

    def told(self, *, unlike: float, unsure: float) -> Told:
        """Return what the version would tell about these images.

        Args:
            unlike: Novelty above which an image is unlike the training images.
            unsure: Confidence below which an answer is unsure.
        """
        novelty = self.novelty or [None] * len(self.correct)
        strange = [value is not None and value > unlike for value in novelty]
        doubtful = [
            is_unsure(value, new, unlike=unlike, unsure=unsure)
            for value, new in zip(self.confidence, novelty, strict=True)
        ]
        sure = [not (a or b) for a, b in zip(strange, doubtful, strict=True)]
        return Told(
            n=len(self.correct),
            unlike=None if self.novelty is None else sum(strange),
            unsure=sum(b and not a for a, b in zip(strange, doubtful, strict=True)),
            correct=sum(a and b for a, b in zip(sure, self.correct, strict=True)),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the document that `read_reliability` reads, with one text per column to keep it short."""
        document = {"confidence": _text(self.confidence), "correct": "".join("01"[c] for c in self.correct)}
        return document if self.novelty is None else {**document, "novelty": _text(self.novelty)}


def reliability_of(logits: torch.Tensor, labels: torch.Tensor, novelty: torch.Tensor | None) -> Reliability:
    """Return the values of a split; of a large one, those of images in equal steps.

    Args:
        logits: Calibrated logits (N, C).
        labels: Class indices (N,).
        novelty: Novelty (N,) of the images, or None.
    """
    step = -(-len(labels) // MOST_IMAGES)
    scores = logits[::step].softmax(dim=1)
    best, predicted = scores.max(dim=1)
    runners_up = scores.scatter(1, predicted[:, None], 0.0).max(dim=1).values
    pairs = zip(best.tolist(), runners_up.tolist(), strict=True)
    return Reliability(
        novelty=None if novelty is None else tuple(round(value, 3) for value in novelty[::step].tolist()),
        confidence=tuple(round(confidence(*pair), 3) for pair in pairs),
        correct=tuple((predicted == labels[::step]).tolist()),
    )


def read_reliability(document: Any) -> Reliability:
    """Return the values of a document that `Reliability.as_json` returned.

    Raises:
        ValueError: If the document or a value is invalid.
        KeyError: If a column is missing.
        TypeError: If the document or a column is of another kind.
    """
    novelty = None if "novelty" not in document else _values(document["novelty"], float("inf"))
    confidences = _values(document["confidence"], 1.0)
    correct = tuple("01".index(digit) == 1 for digit in document["correct"])
    lengths = {len(column) for column in (novelty, confidences, correct) if column is not None}
    if len(lengths) != 1 or not 1 <= len(correct) <= MOST_IMAGES:
        raise ValueError("the columns of the reliability have different or impossible lengths")
    return Reliability(novelty, confidences, correct)


def _text(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _values(text: str, highest: float) -> tuple[float, ...]:
    values = tuple(float(word) for word in str.split(text))
    if not all(0 <= value <= highest for value in values):  # also refuses NaN
        raise ValueError("a value of the reliability is out of range")
    return values
