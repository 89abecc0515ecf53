"""The origin of a version, and what else was made from the same dataset or base."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, or_, select
from sqlalchemy.orm import Session

from registry.bases_and_datasets import dataset_row, dataset_summary
from registry.database.db import Database
from registry.database.models import AdapterRow, BaseRow, DatasetRow, RunRow, VersionRow
from registry.errors import UnknownDataset
from registry.queries import storable
from registry.records import Base, DatasetSummary, Version
from registry.visibility import visibility_of

MAX_NAMES = 100


@dataclass(frozen=True, slots=True)
class Descendants:
    """What was made from a dataset or a base.

    Attributes:
        n_versions: the number of versions.
        n_runs: the number of runs.
        versions: the names of the newest 100 versions.
        runs: the ids of the newest 100 runs.
    """

    n_versions: int
    n_runs: int
    versions: tuple[str, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lineage:
    """The origin of a version: version -> run -> dataset -> base.

    Attributes:
        run_id: None for an imported version.
        siblings: the other versions of the same run.
        dataset: the dataset, as the user who trained the version calls it; None for an imported version
            without a dataset.
        same_data: what else was made from the same dataset.
        dataset_revision: what changed in the dataset since the revision before; see `NewRun`.
    """

    version: str
    run_id: str | None
    siblings: tuple[str, ...]
    dataset: DatasetSummary | None
    base: Base
    same_data: Descendants | None
    dataset_revision: Mapping[str, Any] | None = None


class Lineages:
    """Links from versions to their origins and back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, version: Version) -> Lineage:
        """Return the origin of a version."""
        with self._database.reading() as session:
            dataset = None
            if version.dataset_fingerprint is not None:
                dataset = _dataset(session, version.dataset_fingerprint)
            other = VersionRow.id != version.id
            siblings: tuple[str, ...] = ()
            dataset_name = revision = None
            if version.run_id is not None:
                siblings = _versions(session, VersionRow.run_id == version.run_id, other)[1]
                of_run = select(RunRow.dataset_name, RunRow.dataset_revision).where(
                    RunRow.id == version.run_id
                )
                dataset_name, revision = session.execute(of_run).one()
            return Lineage(
                version=version.ref,
                run_id=version.run_id,
                siblings=siblings,
                dataset=dataset_summary(dataset, dataset_name) if dataset is not None else None,
                base=version.base,
                same_data=None if dataset is None else _of_dataset(session, dataset.id, version),
                dataset_revision=revision,
            )

    def of_dataset(self, fingerprint: str) -> Descendants:
        """Return the versions and runs of a dataset.

        Raises:
            UnknownDataset: if there is none of this fingerprint.
        """
        with self._database.reading() as session:
            return _of_dataset(session, _dataset(session, fingerprint).id, None)

    def of_base(self, base: str) -> Descendants:
        """Return the versions and runs of a base, given its name or the SHA-256 of its weights."""
        with self._database.reading() as session:
            key = storable(base)
            ids = select(BaseRow.id).where(or_(BaseRow.name == key, BaseRow.weights_sha256 == key))
            n_versions, versions = _versions(session, VersionRow.base_id.in_(ids))
            n_runs, runs = _runs(session, RunRow.base_id.in_(ids))
            return Descendants(n_versions, n_runs, versions, runs)


def _dataset(session: Session, fingerprint: str) -> DatasetRow:
    row = dataset_row(session, storable(fingerprint))
    if row is None:
        raise UnknownDataset(fingerprint)
    return row


def _of_dataset(session: Session, dataset_id: int, without: Version | None) -> Descendants:
    other_versions, other_runs = [VersionRow.dataset_id == dataset_id], [RunRow.dataset_id == dataset_id]
    if without is not None:
        other_versions.append(VersionRow.id != without.id)
        other_runs.append(RunRow.id != without.run_id)
    n_versions, versions = _versions(session, *other_versions)
    n_runs, runs = _runs(session, *other_runs)
    return Descendants(n_versions, n_runs, versions, runs)


def _versions(session: Session, *conditions: ColumnElement[bool]) -> tuple[int, tuple[str, ...]]:
    """Return how many versions meet the conditions, and the names of the newest."""
    shown = (*conditions, visibility_of(session).shows(AdapterRow.owner))
    names = (
        select(AdapterRow.slug + "@" + cast(VersionRow.version, Text))
        .select_from(VersionRow)
        .join(AdapterRow, AdapterRow.id == VersionRow.adapter_id)
        .where(*shown)
        .order_by(VersionRow.id.desc())
        .limit(MAX_NAMES)
    )
    counted = select(func.count()).select_from(VersionRow)
    joined = counted.join(AdapterRow, AdapterRow.id == VersionRow.adapter_id)
    n = session.scalars(joined.where(*shown)).one()
    return n, tuple(session.scalars(names))


def _runs(session: Session, *conditions: ColumnElement[bool]) -> tuple[int, tuple[str, ...]]:
    """Return how many runs meet the conditions, and the ids of the newest."""
    shown = (*conditions, visibility_of(session).shows(RunRow.created_by))
    ids = select(RunRow.id).where(*shown).order_by(RunRow.created_at.desc(), RunRow.id).limit(MAX_NAMES)
    n = session.scalars(select(func.count()).select_from(RunRow).where(*shown)).one()
    return n, tuple(session.scalars(ids))
