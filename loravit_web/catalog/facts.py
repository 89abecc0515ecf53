"""Facts about one version of an adapter, read at once for the page or the shell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loravit_web.catalog.reliability import SPLITS, SplitReliability, reliability_of_version
from loravit_web.serving.predictor import Predictor
from registry import (
    Adapter,
    AdapterEntry,
    AliasMove,
    ConfusedPair,
    Difference,
    EvaluationDetails,
    Lineage,
    Registry,
    Run,
    Split,
    UsageTotal,
    Version,
)

MAX_CONFUSED = 5
"""Maximum number of confused pairs of classes."""
MAX_RUNS = 500
"""Maximum number of runs of an adapter whose presets are read."""


@dataclass(frozen=True)
class Availability:
    """Whether an adapter or a version can be used.

    Attributes:
        usable: Whether it can be used.
        reason: Why it cannot be used, or what users should know before they use it, or None.
    """

    usable: bool
    reason: str | None = None


@dataclass(frozen=True)
class ClassResults:
    """Results of a version per class on one split.

    Attributes:
        split: Split of the evaluation.
        details: Results per class.
        confused: Pairs of classes that were confused most often.
    """

    split: Split
    details: EvaluationDetails
    confused: tuple[ConfusedPair, ...]


@dataclass(frozen=True)
class AdapterFacts:
    """One version of an adapter.

    Attributes:
        adapter: Adapter of the version.
        version: The version.
        versions: All versions of the adapter, newest first, including withdrawn ones.
        availability: Whether the version can be used.
        results: Results per class, or None.
        reliability: How well the version tells what it does not know, or None; see `catalog.reliability`.
        previous: Previous version, or None for the first one.
        differences: Settings in which this version differs from the previous one.
        lineage: Runs and datasets from which the version was made.
        run: Run that published the version, or None for an imported one.
        moves: Moves of all aliases of the adapter, newest first.
        usage: Requests by version number.
        presets: Presets by version number, of versions whose run is known.
        revision: Revision of the catalog before these facts were read.
    """

    adapter: Adapter
    version: Version
    versions: tuple[Version, ...]
    availability: Availability
    results: ClassResults | None
    reliability: SplitReliability | None
    previous: Version | None
    differences: tuple[Difference, ...]
    lineage: Lineage
    run: Run | None
    moves: tuple[AliasMove, ...]
    usage: Mapping[int, UsageTotal]
    presets: Mapping[int, str]
    revision: int

    @property
    def aliases(self) -> tuple[str, ...]:
        """Aliases that point to this version."""
        return tuple(alias.alias for alias in self.adapter.aliases if alias.version == self.version.version)

    @property
    def newest(self) -> bool:
        """Whether it is the newest version that is not withdrawn."""
        return self.adapter.newest is not None and self.adapter.newest.id == self.version.id


def read_facts(registry: Registry, predictor: Predictor, ref: str) -> AdapterFacts:
    """Return the facts about a version, also if it is withdrawn or archived.

    Args:
        registry: Registry as the reader sees it.
        predictor: Predictor that tells whether the version can be used.
        ref: ``slug@2``, ``slug@alias``, or ``slug`` for the version that people get by this name.

    Raises:
        RegistryError: If there is no such adapter or version.
    """
    revision = registry.revision()  # read first, so that changes during the other reads are noticed later
    version = registry.catalog.version(ref)
    adapter, versions = registry.catalog.adapter(version.slug), registry.catalog.versions(version.slug)
    previous = next((one for one in versions if one.version < version.version), None)
    compared = registry.comparer.compare([previous.ref, version.ref]) if previous is not None else None
    return AdapterFacts(
        adapter=adapter,
        version=version,
        versions=tuple(versions),
        availability=version_availability(predictor, adapter, version),
        results=_results(registry, version),
        reliability=reliability_of_version(registry, version),
        previous=previous,
        differences=compared.settings if compared is not None else (),
        lineage=registry.lineage.of(version),
        run=registry.runs.get(version.run_id) if version.run_id is not None else None,
        moves=tuple(registry.aliases.history(version.slug)),
        usage=registry.usage.totals(version.slug),
        presets=_presets(registry, versions),
        revision=revision,
    )


def version_availability(predictor: Predictor, adapter: Adapter, version: Version) -> Availability:
    """Return whether a version can be used."""
    if version.withdrawn_at is not None:
        return Availability(False, f"Version {version.version} is withdrawn: {version.withdrawn_reason}")
    if adapter.archived_at is not None:
        return Availability(False, ARCHIVED)
    return _known(predictor, version.ref, version.base.name, version.base.weights_sha256)


def entry_availability(predictor: Predictor, entry: AdapterEntry) -> Availability:
    """Return whether the newest version of a listed adapter can be used."""
    if entry.archived_at is not None:
        return Availability(False, ARCHIVED)
    if entry.newest is None:
        return Availability(False, "All versions are withdrawn.")
    newest = entry.newest
    return _known(predictor, f"{entry.slug}@{newest.version}", newest.base, newest.base_sha256)


ARCHIVED = "Archived. Restore it to list it as a task again."


def _known(predictor: Predictor, ref: str, base: str, weights_sha256: str) -> Availability:
    status, reason = predictor.availability(ref, base, weights_sha256)
    if status == "unavailable":
        return Availability(False, f"Unavailable: {reason}")
    if status == "on demand":
        return Availability(True, f"Its base {base} is loaded at the first request, which takes a while.")
    return Availability(True)


def _presets(registry: Registry, versions: Sequence[Version]) -> dict[int, str]:
    runs = {run.id: run for run in registry.runs.list(slug=versions[0].slug, limit=MAX_RUNS)}
    found = {one.version: runs[one.run_id] for one in versions if one.run_id in runs}
    return {number: str(run.config["preset"]) for number, run in found.items() if "preset" in run.config}


def _results(registry: Registry, version: Version) -> ClassResults | None:
    for split in SPLITS:
        details = registry.evaluations.details(version, split)
        if details is not None and details.classes:
            confused = registry.evaluations.most_confused(version, split, limit=MAX_CONFUSED)
            return ClassResults(split, details, tuple(confused))
    return None
