"""Runs and versions side by side: what differs in their settings and what came of them."""

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
"""Stands for a setting or metric that one of the compared doesn't have; None is a value like another."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the compared: a run with the newest version it published, or a version with its run."""

    name: str
    """As `slug@2`, or a run's id."""
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
    """Only the settings that aren't the same for all subjects, all settings of a single one; every metric."""

    subjects: tuple[Subject, ...]
    settings: tuple[Difference, ...]
    metrics: tuple[Difference, ...]


class Comparer:
    """Finds what is named and lays it side by side."""

    def __init__(self, catalog: Catalog, runs: Runs) -> None:
        self._catalog = catalog
        self._runs = runs

    def compare(self, refs: Sequence[str]) -> Comparison:
        """Compare what `slug`, `slug@2`, aliases and ids of runs name; withdrawn versions too.

        UnknownReference for what is neither an adapter nor a run; else what finding a version or run raises.
        """
        subjects = tuple(self._subject(ref) for ref in dict.fromkeys(refs))
        settings = table([one.settings for one in subjects])
        if len(subjects) > 1:
            settings = tuple(row for row in settings if not _same(row.values))
        return Comparison(subjects, settings, table([one.metrics for one in subjects]))

    def version(self, ref: str) -> Version:
        """The version that `resolve` finds, or a withdrawn one that is named by its number."""
        slug, _, number = ref.partition("@")
        named = [one for one in self._catalog.versions(slug) if str(one.version) == number]
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
    """What a run was told, and where it or the version comes from, under dotted keys."""
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
    """Results on the splits, and of each curve its last, smallest and largest value."""
    found: dict[str, float] = {}
    for evaluation in version.evaluations if version is not None else ():
        results = {
            "accuracy": evaluation.accuracy,
            "loss": evaluation.loss,
            "macro_f1": evaluation.macro_f1,
            "linear_probe_accuracy": evaluation.linear_probe_accuracy,
        }
        found |= {f"{evaluation.split}.{key}": value for key, value in results.items() if value is not None}
    for key, one in summary.items():
        found |= {f"{key}.last": one.last, f"{key}.min": one.minimum, f"{key}.max": one.maximum}
    return found


def table(columns: Sequence[Mapping[str, Any]]) -> tuple[Difference, ...]:
    """Every key of any column, in order, with its value in each."""
    keys = sorted({key for column in columns for key in column})
    return tuple(Difference(key, tuple(column.get(key, ABSENT) for column in columns)) for key in keys)


def _same(values: Sequence[Any]) -> bool:
    """Whether all are equal as JSON values are: 1 and True aren't, 1 and 1.0 are."""
    first = values[0]
    return all(one == first and isinstance(one, bool) == isinstance(first, bool) for one in values)
