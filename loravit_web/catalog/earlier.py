"""A new version beside the version before it, on the same images or on others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loravit_web.training.files.predictions import (
    PREDICTIONS,
    Predictions,
    PredictionsDamaged,
    read_predictions,
)
from loravit_web.util.intervals import interval_95
from registry import DEFAULT_ALIAS, BlobMissing, Registry, RegistryError, Split, UnknownRunFile, Version

_SPLITS: tuple[Split, ...] = ("test", "validation")
"""Splits to compare on, the less biased one first."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Accuracy of a version on a split.

    Attributes:
        n: Number of images.
        accuracy: Fraction of correct images.
        images: Hashes of the images, or None if they are not known.
    """

    n: int
    accuracy: float
    images: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Compared:
    """A version beside the version before it.

    Attributes:
        before: The version before.
        split: Split on which both were measured.
        new: Accuracy of the version.
        old: Accuracy of the version before.
    """

    before: Version
    split: Split
    new: Measured
    old: Measured

    @property
    def same_images(self) -> bool:
        """Whether both were measured on the same images."""
        return self.new.images is not None and self.new.images == self.old.images

    @property
    def points(self) -> float:
        """How much more accurate the version is, in percentage points; negative if it is less accurate."""
        return 100 * (self.new.accuracy - self.old.accuracy)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of `points` for different images, after Newcombe (1998)."""
        (new_low, new_high), (old_low, old_high) = (
            interval_95(round(one.accuracy * one.n), one.n) for one in (self.new, self.old)
        )
        new, old = self.new.accuracy, self.old.accuracy
        low = (new - old) - math.hypot(new - new_low, old_high - old)
        high = (new - old) + math.hypot(new_high - new, old - old_low)
        return 100 * low, 100 * high

    @property
    def is_worse(self) -> bool:
        """Whether the version is less accurate: at all on the same images, beyond noise on different ones."""
        return self.points < 0 and (self.same_images or self.interval[1] < 0)


def meant_by_name(registry: Registry, slug: str) -> Version | None:
    """Return the version that the name of an adapter means, or None if it has none that can be used."""
    try:
        return registry.catalog.resolve(slug)
    except RegistryError:
        return None


def before(registry: Registry, version: Version) -> Version | None:
    """Return the version that people got by the name of the adapter before another one, or None."""
    earlier = [one for one in registry.catalog.versions(version.slug) if one.version < version.version]
    moves = registry.aliases.history(version.slug, DEFAULT_ALIAS)
    number = next((move.after for move in moves if move.moved_at <= version.created_at), None)
    chosen = next((one for one in earlier if one.version == number), None)
    return chosen or next((one for one in earlier if one.withdrawn_at is None), None)


def compare(registry: Registry, version: Version, earlier: Version) -> Compared | None:
    """Return a version beside an earlier one, or None if they were not measured on the same kind of split.

    Args:
        registry: Registry with the versions.
        version: The later version.
        earlier: The earlier version.
    """
    measured: dict[str, tuple[int, float]] = {one.split: (one.n, one.accuracy) for one in version.evaluations}
    return _compared(registry, measured, _predictions(registry, version), earlier)


def compare_unpublished(
    registry: Registry, metrics: Mapping[str, Mapping[str, Any]], predictions: Predictions, earlier: Version
) -> Compared | None:
    """Return a version that is not published yet beside an earlier one; see `compare`.

    Args:
        registry: Registry with the earlier version.
        metrics: Metrics of the new version by split, with ``n`` and ``accuracy``.
        predictions: Its predictions.
        earlier: The earlier version.
    """
    measured = {split: (int(one["n"]), float(one["accuracy"])) for split, one in metrics.items() if one}
    return _compared(registry, measured, predictions, earlier)


def lower_text(compared: Compared) -> str:
    """Return by how much a worse version is less accurate, such as “2.5 points less accurate on …”."""
    images = f"the same {compared.new.n:,}" if compared.same_images else f"other {compared.split}"
    split = f" {compared.split}" if compared.same_images else ""
    return f"{-compared.points:.1f} points less accurate on {images}{split} images"


def _compared(
    registry: Registry,
    measured: Mapping[str, tuple[int, float]],
    predictions: Predictions | None,
    earlier: Version,
) -> Compared | None:
    for split in _SPLITS:
        judged = earlier.evaluation(split)
        if judged is None or split not in measured:
            continue
        n, accuracy = measured[split]
        new = Measured(n, accuracy, _images(predictions, split))
        old = Measured(judged.n, judged.accuracy, _images(_predictions(registry, earlier), split))
        return Compared(earlier, split, new, old)
    return None


def _predictions(registry: Registry, version: Version) -> Predictions | None:
    """Return the predictions of the run that made a version, or None if there are none."""
    if version.run_id is None:
        return None
    try:
        return read_predictions(registry.run_files.read(version.run_id, PREDICTIONS))
    except (UnknownRunFile, BlobMissing, PredictionsDamaged):  # older runs have none
        return None


def _images(predictions: Predictions | None, split: Split) -> frozenset[str] | None:
    answers = (predictions or {}).get(split, ())
    return frozenset(answer.sha256 for answer in answers) or None
