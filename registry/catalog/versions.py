"""Reading versions as records, in three queries however many versions there are."""

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, aliased

from registry.bases_and_datasets import base_record
from registry.database.models import (
    AdapterRow,
    AliasRow,
    BaseRow,
    DatasetRow,
    EvaluationRow,
    VersionClassTitlesRow,
    VersionFileRow,
    VersionRow,
    VersionThresholdsRow,
)
from registry.records import Evaluation, Thresholds, Version, VersionFile
from registry.visibility import visibility_of

DEFAULT_ALIAS = "default"
"""The alias that decides which version a name without a version means; without it, the newest."""


def find_versions(session: Session, *conditions: ColumnElement[bool]) -> list[Version]:
    """Return the versions that meet the conditions on VersionRow and AdapterRow, by slug, newest first."""
    conditions = (*conditions, visibility_of(session).shows(AdapterRow.owner))
    changed, titled = VersionThresholdsRow, VersionClassTitlesRow
    statement = (
        select(
            VersionRow,
            AdapterRow,
            BaseRow,
            DatasetRow.fingerprint,
            changed.unlike,
            changed.unsure,
            titled.titles,
        )
        .join(AdapterRow, AdapterRow.id == VersionRow.adapter_id)
        .join(BaseRow, BaseRow.id == VersionRow.base_id)
        .outerjoin(DatasetRow, DatasetRow.id == VersionRow.dataset_id)
        .outerjoin(changed, changed.version_id == VersionRow.id)
        .outerjoin(titled, titled.version_id == VersionRow.id)
        .where(*conditions)
        .order_by(AdapterRow.slug, VersionRow.version.desc())
    )
    rows = session.execute(statement).all()
    # a subquery, because databases limit the length of a list
    ids = select(VersionRow.id).join(AdapterRow, AdapterRow.id == VersionRow.adapter_id).where(*conditions)
    files = _files(session, ids)
    evaluations = _evaluations(session, ids)
    return [
        _version(
            version,
            adapter,
            base,
            fingerprint,
            tuple(files[version.id]),
            tuple(evaluations[version.id]),
            Thresholds(unlike, unsure),
            titles or {},
        )
        for version, adapter, base, fingerprint, unlike, unsure, titles in rows
    ]


def newest_not_withdrawn() -> ColumnElement[bool]:
    """Return the condition that a version is the newest of its adapter that is not withdrawn."""
    other = aliased(VersionRow)
    # correlated by adapter, because a list of all newest versions would be computed again for each adapter
    newest = (
        select(func.max(other.id))
        .where(other.adapter_id == VersionRow.adapter_id, other.withdrawn_at.is_(None))
        .correlate(VersionRow)
    )
    return VersionRow.id == newest.scalar_subquery()


def named_by_slug() -> ColumnElement[bool]:
    """Return the condition that a version is the one that the name of its adapter means."""
    other = aliased(VersionRow)
    newest = (
        select(func.max(other.id))
        .where(other.adapter_id == VersionRow.adapter_id, other.withdrawn_at.is_(None))
        .correlate(VersionRow)
    )
    chosen = (
        select(AliasRow.version_id)
        .where(AliasRow.adapter_id == VersionRow.adapter_id, AliasRow.alias == DEFAULT_ALIAS)
        .correlate(VersionRow)
    )
    return VersionRow.id == func.coalesce(chosen.scalar_subquery(), newest.scalar_subquery())


def newest_in_use(adapter_id: int) -> ColumnElement[bool]:
    """Return the condition that a version is the newest of this adapter that is not withdrawn."""
    newest = (
        select(VersionRow.id)
        .where(VersionRow.adapter_id == adapter_id, VersionRow.withdrawn_at.is_(None))
        .order_by(VersionRow.version.desc())
        .limit(1)
    )
    return VersionRow.id == newest.scalar_subquery()


def _files(session: Session, ids: Select[int]) -> defaultdict[int, list[VersionFile]]:
    rows = session.execute(
        select(*VersionFileRow.__table__.c)
        .where(VersionFileRow.version_id.in_(ids))
        .order_by(VersionFileRow.path)
    )
    found: defaultdict[int, list[VersionFile]] = defaultdict(list)
    for row in rows:
        found[row.version_id].append(VersionFile(row.path, row.sha256))
    return found


def _evaluations(session: Session, ids: Select[int]) -> defaultdict[int, list[Evaluation]]:
    rows = session.execute(
        select(*EvaluationRow.__table__.c).where(EvaluationRow.version_id.in_(ids)).order_by(EvaluationRow.id)
    )
    found: defaultdict[int, list[Evaluation]] = defaultdict(list)
    for row in rows:
        found[row.version_id].append(
            Evaluation(
                split=row.split,
                n=row.n,
                accuracy=row.accuracy,
                loss=row.loss,
                macro_f1=row.macro_f1,
                linear_probe_accuracy=row.linear_probe_accuracy,
                top5_accuracy=row.top5_accuracy,
                calibration_error=row.calibration_error,
                created_at=row.created_at,
                mean_average_precision=row.mean_average_precision,
                micro_f1=row.micro_f1,
            )
        )
    return found


def _version(
    row: VersionRow,
    adapter: AdapterRow,
    base: BaseRow,
    dataset_fingerprint: str | None,
    files: tuple[VersionFile, ...],
    evaluations: tuple[Evaluation, ...],
    thresholds: Thresholds,
    class_titles: Mapping[str, str],
) -> Version:
    return Version(
        id=row.id,
        slug=adapter.slug,
        title=adapter.title,
        description=adapter.description,
        owner=adapter.owner,
        version=row.version,
        run_id=row.run_id,
        base=base_record(base),
        dataset_fingerprint=dataset_fingerprint,
        adapter_type=row.adapter_type,
        n_params=row.n_params,
        size_bytes=row.size_bytes,
        image_size=row.image_size,
        class_names=tuple(row.class_names),
        config=row.config,
        files=files,
        weights_sha256=row.weights_sha256,
        manifest_sha256=row.manifest_sha256,
        evaluations=evaluations,
        created_at=row.created_at,
        created_by=row.created_by,
        withdrawn_at=row.withdrawn_at,
        withdrawn_reason=row.withdrawn_reason,
        thresholds=thresholds,
        class_titles=class_titles,
    )
