"""Comparison of runs and versions: their settings where they differ, and their results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from registry.catalog.catalog import Catalog
from registry.errors import (
    RunIdTooShort,
    UnknownAdapter,
    UnknownReference,
    UnknownRun,
)
from registry.records import Base, MetricSummary, Run, Version
from registry.runs.runs import Runs, flatten


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""Marks a setting or metric that a subject does not have. None is an ordinary value."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A run or version to compare: a run with the newest version it published, or a version with its run.

    Attributes:
        name: such as `slug@2`, or the id of the run.
        settings: by dotted key.
        metrics: by dotted key.
    """

    name: str
    run: Run | None
    version: Version | None
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """A dotted key and its value for each subject in order, or ABSENT."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Subjects side by side.

    Attributes:
        settings: the settings that are not the same for all subjects; all settings of a single subject.
        metrics: every metric.
    """

    subjects: tuple[Subject, ...]
    settings: tuple[Difference, ...]
    metrics: tuple[Difference, ...]


class Comparer:
    """Finds the runs and versions that are named, and compares them."""

    def __init__(self, catalog: Catalog, runs: Runs) -> None:
        self._catalog = catalog
        self._runs = runs

    def compare(self, refs: Sequence[str]) -> Comparison:
        """Return a comparison of runs and versions.

        Args:
            refs: each a `slug`, `slug@2`, `slug@alias` or the id of a run. Withdrawn versions may be named by
                number.

        Raises:
            UnknownReference: if a name belongs to neither an adapter nor a run.
            UnknownVersion: if the adapter has no such version or alias.
            VersionWithdrawn: if a slug or an alias leads to a withdrawn version.
            AmbiguousRun: if several runs have an id that starts like this.
        """
        subjects = tuple(self._subject(ref) for ref in dict.fromkeys(refs))
        settings = table([subject.settings for subject in subjects])
        if len(subjects) > 1:
            settings = tuple(row for row in settings if not _same(row.values))
        return Comparison(subjects, settings, table([subject.metrics for subject in subjects]))

    def version(self, ref: str) -> Version:
        """Return the version that `Catalog.resolve` finds, or a withdrawn one that is named by its number."""
        slug, _, number = ref.partition("@")
        named = [version for version in self._catalog.versions(slug) if str(version.version) == number]
        return named[0] if named else self._catalog.resolve(ref)

    def _subject(self, ref: str) -> Subject:
        try:
            version = self.version(ref)
        except UnknownAdapter:
            if "@" in ref:
                raise
            return self._of_run(ref)
        run = self._runs.get(version.run_id) if version.run_id is not None else None
        return self._joined(version.ref, run, version, version.base)

    def _of_run(self, ref: str) -> Subject:
        try:
            run = self._runs.get(ref)
        except (UnknownRun, RunIdTooShort) as error:
            raise UnknownReference(ref) from error
        version = self.version(run.published) if run.published is not None else None
        return self._joined(run.id, run, version, run.base)

    def _joined(self, name: str, run: Run | None, version: Version | None, base: Base) -> Subject:
        summary = self._runs.summary(run.id) if run is not None else {}
        return Subject(name, run, version, settings_of(run, version, base), metrics_of(summary, version))


def settings_of(run: Run | None, version: Version | None, base: Base) -> dict[str, Any]:
    """Return the settings of a run, and the origin of the run or version, by dotted key."""
    nested: dict[str, Any] = {"base": {"name": base.name, "weights_sha256": base.weights_sha256}}
    if version is not None:
        nested |= {"adapter": version.config, "image_size": version.image_size}
        if version.dataset_fingerprint is not None:
            nested["dataset"] = {"fingerprint": version.dataset_fingerprint}
    if run is not None:
        nested |= run.config
        nested |= {
            "dataset": {
                "fingerprint": run.dataset.fingerprint,
                "name": run.dataset.name,
                "images": run.dataset.n_images,
                "classes": run.dataset.n_classes,
            },
            "environment": run.environment,
            "seed": run.seed,
        }
    return dict(flatten(nested))


def metrics_of(summary: Mapping[str, MetricSummary], version: Version | None) -> dict[str, float]:
    """Return the results on each split, and the last, smallest and largest value of each curve."""
    found: dict[str, float] = {}
    for evaluation in version.evaluations if version is not None else ():
        results = {
            "accuracy": evaluation.accuracy,
            "loss": evaluation.loss,
            "macro_f1": evaluation.macro_f1,
            "linear_probe_accuracy": evaluation.linear_probe_accuracy,
        }
        found |= {f"{evaluation.split}.{key}": value for key, value in results.items() if value is not None}
    for key, metric in summary.items():
        found |= {f"{key}.last": metric.last, f"{key}.min": metric.minimum, f"{key}.max": metric.maximum}
    return found


def table(columns: Sequence[Mapping[str, Any]]) -> tuple[Difference, ...]:
    """Return every key of any column, sorted, with its value in each column."""
    keys = sorted({key for column in columns for key in column})
    return tuple(Difference(key, tuple(column.get(key, ABSENT) for column in columns)) for key in keys)


def _same(values: Sequence[Any]) -> bool:
    """Return whether all values are equal as JSON values: 1 and 1.0 are, 1 and True are not."""
    first = values[0]
    return all(value == first and isinstance(value, bool) == isinstance(first, bool) for value in values)
