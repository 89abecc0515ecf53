"""Check of data without an import: what it would give, what is left out, and why it would be refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass

from loravit_web.datasets.assembly import find, settled
from loravit_web.datasets.errors import DatasetError
from loravit_web.datasets.ingestion import ingest
from loravit_web.datasets.layout.plan import Level
from loravit_web.datasets.records import Skipped, Split
from loravit_web.datasets.sources.opening import Source
from loravit_web.datasets.sources.scan import sorted_classes
from loravit_web.settings.limits import DEFAULTS, Limits


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Number of images of a class in each split.

    Attributes:
        name: Name of the class.
        train: Number of training images.
        validation: Number of validation images.
        test: Number of test images.
    """

    name: str
    train: int
    validation: int
    test: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of a check.

    Attributes:
        classes: Images by class. If the data is refused before it is read, files are counted instead.
        warnings: Sentences, those about what is left out first.
        skipped: Files that an import would skip.
        error: Reason why an import would be refused, or None.
        levels: Folders that can be the classes, if there are several possibilities.
    """

    classes: tuple[ClassCount, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    error: str | None = None
    levels: tuple[Level, ...] = ()


def check(opening: AbstractContextManager[Source], limits: Limits = DEFAULTS, *, workers: int = 2) -> Checked:
    """Return what an import would give. Every image is decoded, and nothing is stored.

    Args:
        opening: Opens the source; see `open_source`.
        limits: Limits of an import.
        workers: Number of decoding threads.
    """
    try:
        with opening as source:
            return _checked(source, limits, workers)
    except DatasetError as error:
        return Checked(error=str(error), levels=tuple(getattr(error, "levels", ())))


def _checked(source: Source, limits: Limits, workers: int) -> Checked:
    plan = source.plan
    try:
        source = settled(source, limits)
    except DatasetError as error:
        placed = ((place.split, name) for place in plan.placements for name in place.class_names)
        warnings = (*plan.effects, *plan.notes)
        return Checked(_counted(placed), warnings, _sorted(plan.skipped), str(error), plan.levels)
    reading = ingest(source.plan.placements, source.read, None, workers, max_pixels=limits.pixels)
    with closing(reading) as results:
        found = find(source, list(results))
    problem = None
    try:
        found.check(limits.classes)
    except DatasetError as refused:
        problem = str(refused)
    counted = _counted((item.split, found.classes[label]) for item in found.items for label in item.labels)
    return Checked(counted, (*found.warnings, *found.notes), found.skipped, problem, plan.levels)


def _sorted(skipped: Sequence[Skipped]) -> tuple[Skipped, ...]:
    return tuple(sorted(skipped, key=lambda entry: entry.path))


def _counted(placed: Iterable[tuple[Split, str]]) -> tuple[ClassCount, ...]:
    counts = Counter(placed)
    return tuple(
        ClassCount(name, counts["train", name], counts["val", name], counts["test", name])
        for name in sorted_classes(name for _, name in counts)
    )
