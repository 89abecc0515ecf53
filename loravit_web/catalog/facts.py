"""Everything that is known about one version of an adapter, read once for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

MOST_CONFUSED = 5
BY_CLASS: tuple[Split, ...] = ("test", "validation")


@dataclass(frozen=True)
class Standing:
    """Whether something can be asked here.

    Attributes:
        reason: why not; or what whoever asks should know first; None when there is nothing to say.
    """

    usable: bool
    reason: str | None = None


@dataclass(frozen=True)
class ClassResults:
    """How a version did class by class on one split, and what it took for what."""

    split: Split
    details: EvaluationDetails
    confused: tuple[ConfusedPair, ...]


@dataclass(frozen=True)
class AdapterFacts:
    """One version, its adapter, and where both stand.

    Attributes:
        versions: of the adapter, newest first, withdrawn ones too.
        previous: the version before this one; None for the first.
        differences: the settings in which this version differs from the previous one.
        moves: of all aliases, newest first.
        usage: by the number of the version.
        revision: of the catalog when this was read, or earlier.
    """

    adapter: Adapter
    version: Version
    versions: tuple[Version, ...]
    standing: Standing
    results: ClassResults | None
    previous: Version | None
    differences: tuple[Difference, ...]
    lineage: Lineage
    run: Run | None
    moves: tuple[AliasMove, ...]
    usage: Mapping[int, UsageTotal]
    revision: int

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases that name this version."""
        return tuple(one.alias for one in self.adapter.aliases if one.version == self.version.version)

    @property
    def newest(self) -> bool:
        """Whether the adapter's name alone means this version."""
        return self.adapter.newest is not None and self.adapter.newest.id == self.version.id


def read_facts(registry: Registry, predictor: Predictor, ref: str) -> AdapterFacts:
    """The facts of `slug@2`, an alias, or the newest version of `slug`; withdrawn and archived ones too.

    Raises:
        RegistryError: if there is no such adapter or version.
    """
    revision = registry.revision()  # first: a change while the rest is read must not be taken for seen
    version = registry.catalog.version(ref)
    adapter, versions = registry.catalog.adapter(version.slug), registry.catalog.versions(version.slug)
    previous = next((one for one in versions if one.version < version.version), None)
    compared = registry.comparer.compare([previous.ref, version.ref]) if previous is not None else None
    return AdapterFacts(
        adapter=adapter,
        version=version,
        versions=tuple(versions),
        standing=version_standing(predictor, adapter, version),
        results=_results(registry, version),
        previous=previous,
        differences=compared.settings if compared is not None else (),
        lineage=registry.lineage.of(version),
        run=registry.runs.get(version.run_id) if version.run_id is not None else None,
        moves=tuple(registry.aliases.history(version.slug)),
        usage=registry.usage.totals(version.slug),
        revision=revision,
    )


def version_standing(predictor: Predictor, adapter: Adapter, version: Version) -> Standing:
    """Whether a version can be tried."""
    if version.withdrawn_at is not None:
        return Standing(False, f"Version {version.version} is withdrawn: {version.withdrawn_reason}")
    if adapter.archived_at is not None:
        return Standing(False, ARCHIVED)
    return _known(predictor, version.ref, version.base.name, version.base.weights_sha256)


def entry_standing(predictor: Predictor, entry: AdapterEntry) -> Standing:
    """Whether an adapter of a list can be tried at its newest version."""
    if entry.archived_at is not None:
        return Standing(False, ARCHIVED)
    if entry.newest is None:
        return Standing(False, "Every version is withdrawn.")
    newest = entry.newest
    return _known(predictor, f"{entry.slug}@{newest.version}", newest.base, newest.base_sha256)


ARCHIVED = "Archived: it is off the lists of tasks until somebody restores it."


def _known(predictor: Predictor, ref: str, base: str, weights_sha256: str) -> Standing:
    status, reason = predictor.availability(ref, base, weights_sha256)
    if status == "unavailable":
        return Standing(False, f"It can't answer here: {reason}")
    if status == "on demand":
        return Standing(True, f"Its base {base} is loaded when it is first asked, which takes a while.")
    return Standing(True)


def _results(registry: Registry, version: Version) -> ClassResults | None:
    for split in BY_CLASS:
        details = registry.evaluations.details(version, split)
        if details is not None and details.classes:
            confused = registry.evaluations.most_confused(version, split, limit=MOST_CONFUSED)
            return ClassResults(split, details, tuple(confused))
    return None
