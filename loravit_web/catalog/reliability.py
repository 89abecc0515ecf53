"""How well a version tells what it does not know, read from its files without loading it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from loravit_web.serving.answers import unlike_above, unsure_below
from loravit_web.training.files.reliability import Told, read_reliability
from loravit_web.util.intervals import interval_95
from registry import BlobDamaged, BlobMissing, BlobStoreUnreachable, Registry, Split, Version

SPLITS: tuple[Split, ...] = ("test", "validation")
"""Splits with results, the preferred one first."""
NO_RELIABILITY = "This version has no figures of how well it tells what it does not know."
"""Sentence for versions of earlier apps."""
_TASK_FILE = "task.json"
"""Same as in `adapters.files.format`, which loads torch."""


@dataclass(frozen=True)
class SplitReliability:
    """How well a version tells what it does not know, on its own images of one split.

    Attributes:
        split: Split of the images.
        images: Number of images of the split. Of a large one, only some are counted.
        told: What the version would tell about them with its present thresholds.
        calibration_error: Expected calibration error on the whole split, or None.
    """

    split: Split
    images: int
    told: Told
    calibration_error: float | None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the version would tell, in sentences for people."""
        told, shown = self.told, [f"{self._images}:"]
        if told.unlike is not None:
            shown.append(f"{_of(told.unlike, told.n)} called unlike the training images.")
        shown.append(f"{_of(told.unsure, told.n)} called unsure.")
        if told.sure:
            low, high = interval_95(told.correct, told.sure)
            interval = f"95 % CI {100 * low:.0f} to {100 * high:.0f} %"
            shown.append(f"{_of(told.correct, told.sure, more=interval)} of the other answers correct.")
        if self.calibration_error is not None:
            shown.append(self._calibration)
        return tuple(shown)

    @property
    def _images(self) -> str:
        counted = "" if self.told.n == self.images else f"{self.told.n:,} of "
        return f"On {counted}{self.images:,} {self.split} images"

    @property
    def _calibration(self) -> str:
        text = f"Expected calibration error {_percent(self.calibration_error or 0.0)}"
        if self.split == "validation":
            return f"{text}, on the images that calibrated the scores, so it may be too small."
        return f"{text}: mean distance of scores from the fraction of correct answers."


def reliability_of_version(registry: Registry, version: Version) -> SplitReliability | None:
    """Return how well a version tells what it does not know, on its test images if it has any.

    Returns:
        None for a version of an earlier app, and for one whose files cannot be read. The doctor finds those.
    """
    try:
        data = registry.catalog.read_file(version, _TASK_FILE)
        task = {} if data is None else json.loads(data)
    except (BlobMissing, BlobDamaged, BlobStoreUnreachable, ValueError):
        return None
    metrics = (task.get("training") or {}).get("metrics") or {}
    for split in SPLITS:
        evaluation, measured = version.evaluation(split), metrics.get(split) or {}
        if evaluation is not None and "reliability" in measured:
            told = read_reliability(measured["reliability"]).told(
                unlike=unlike_above(version.thresholds), unsure=unsure_below(version.thresholds)
            )
            return SplitReliability(split, evaluation.n, told, evaluation.calibration_error)
    return None


def _of(count: int, total: int, *, more: str = "") -> str:
    details = _percent(count / total) + (f", {more}" if more else "")
    return f"{count:,} of {total:,} ({details})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
