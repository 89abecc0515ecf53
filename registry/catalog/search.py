"""Search for adapters and runs: pages of light rows in a fixed number of queries, and values to filter by."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, UnaryExpression, func, or_, select
from sqlalchemy.orm import Session

from registry.catalog.summaries import mend_summary, stale_slugs
from registry.database.db import Database
from registry.database.models import (
    AdapterRow,
    AdapterSummaryRow,
    AdapterTagRow,
    AliasRow,
    BaseRow,
    EvaluationRow,
    VersionRow,
)
from registry.queries import (
    SHOWN_CLASSES,
    SHOWN_DESCRIPTION,
    AdapterEntry,
    AdapterFacets,
    AdapterPage,
    AdapterQuery,
    AdapterSort,
    AdapterStatus,
    Facet,
    NewestVersion,
    RunPage,
    RunQuery,
    pages_of,
    storable,
    words_of,
)
from registry.records import Split
from registry.run_records import MetricSummary, RunStatus
from registry.runs.search import find_published_accuracies, find_summaries, run_page, status_counts
from registry.visibility import Visibility

MAX_FACETS = 200
"""Values of each kind; a picker with more would not be usable."""

_ORDER: dict[AdapterSort, tuple[UnaryExpression[Any], ...]] = {
    "name": (),
    "newest": (AdapterSummaryRow.published_at.desc().nulls_last(),),
    "accuracy": (AdapterSummaryRow.accuracy.desc().nulls_last(),),
    "versions": (AdapterSummaryRow.versions.desc(),),
}


class Search:
    """Pages of adapters and runs, read from summaries that every change updates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def adapters(self, query: AdapterQuery) -> AdapterPage:
        """Return a page of the adapters that meet a query; an empty one beyond the last page.

        Raises:
            InvalidQuery: if a condition is not valid.
        """
        query.check()
        conditions = _conditions(query, self._database.visibility)
        page = (
            _joined(AdapterRow.id)
            .where(*conditions)
            .order_by(*_ORDER[query.sort], AdapterRow.slug)
            .limit(query.limit)
            .offset((query.page - 1) * query.limit)
        )
        with self._database.reading() as session:
            total = session.scalars(_joined(func.count()).where(*conditions)).one()
            entries = _entries(session, session.scalars(page).all())
        return AdapterPage(entries, total, query.page, pages_of(total, query.limit), words_of(query.text))

    def facets(self, query: AdapterQuery) -> AdapterFacets:
        """Return the values by which all adapters that meet a query, on any page, can be filtered.

        Raises:
            InvalidQuery: if a condition is not valid.
        """
        query.check()
        conditions = _conditions(query, self._database.visibility)
        meeting = _joined(AdapterRow.id).where(*conditions)
        bases = _joined(BaseRow.name, func.count()).join(BaseRow, BaseRow.id == AdapterSummaryRow.base_id)
        types = _joined(AdapterSummaryRow.adapter_type, func.count())
        owners = _joined(AdapterRow.owner, func.count())
        tags = select(AdapterTagRow.tag, func.count()).where(AdapterTagRow.adapter_id.in_(meeting))
        aliases = select(AliasRow.alias, func.count()).where(AliasRow.adapter_id.in_(meeting))
        with self._database.reading() as session:
            return AdapterFacets(
                bases=_facet(session, bases.where(*conditions)),
                adapter_types=_facet(session, types.where(*conditions)),
                tags=_facet(session, tags),
                aliases=_facet(session, aliases),
                owners=_facet(session, owners.where(*conditions)),
            )

    def runs(self, query: RunQuery) -> RunPage:
        """Return a page of the runs that meet a query, newest first, without their metrics.

        Raises:
            InvalidQuery: if a condition is not valid.
        """
        query.check()
        with self._database.reading() as session:
            return run_page(session, query)

    def run_counts(self, query: RunQuery) -> dict[RunStatus, int]:
        """Return how many runs of each status meet a query, whatever statuses it accepts; without zeros.

        Raises:
            InvalidQuery: if a condition is not valid.
        """
        query.check()
        with self._database.reading() as session:
            return status_counts(session, query)

    def run_summaries(self, run_ids: Collection[str], key: str) -> dict[str, MetricSummary]:
        """Return the last, smallest and largest value of a metric, for each of the runs that logged it."""
        with self._database.reading() as session:
            return find_summaries(session, run_ids, key)

    def published_accuracies(self, run_ids: Collection[str]) -> dict[str, float]:
        """Return the validation accuracy of the newest version of each of the runs that published one."""
        with self._database.reading() as session:
            return find_published_accuracies(session, run_ids)

    def stale_summaries(self) -> tuple[str, ...]:
        """Return the slugs of adapters whose summary is missing or differs from their rows."""
        with self._database.reading() as session:
            return stale_slugs(session)

    def mend_summaries(self) -> tuple[str, ...]:
        """Rewrite every stale summary, each in its own transaction, and return their slugs."""
        slugs = self.stale_summaries()
        for slug in slugs:
            with self._database.writing() as session:
                mend_summary(session, slug)
        return slugs


def _joined(*columns: Any) -> Select[Any]:
    """Return a SELECT of adapters with their summaries."""
    return (
        select(*columns)
        .select_from(AdapterRow)
        .join(AdapterSummaryRow, AdapterSummaryRow.adapter_id == AdapterRow.id)
    )


# single columns, because loading whole rows takes several times as long
_LIGHT = (
    _joined(
        AdapterRow.id,
        AdapterRow.slug,
        AdapterRow.title,
        func.substr(AdapterRow.description, 1, SHOWN_DESCRIPTION).label("description"),
        AdapterRow.owner,
        AdapterRow.created_at,
        AdapterRow.archived_at,
        AdapterSummaryRow.versions,
        AdapterSummaryRow.newest_id,
        VersionRow.version,
        VersionRow.adapter_type,
        VersionRow.n_params,
        VersionRow.size_bytes,
        VersionRow.image_size,
        VersionRow.class_names,
        VersionRow.created_at.label("published_at"),
        BaseRow.name.label("base"),
        BaseRow.weights_sha256.label("base_sha256"),
    )
    .outerjoin(VersionRow, VersionRow.id == AdapterSummaryRow.newest_id)
    .outerjoin(BaseRow, BaseRow.id == VersionRow.base_id)
)


def _conditions(query: AdapterQuery, visibility: Visibility) -> list[ColumnElement[bool]]:
    conditions = [AdapterSummaryRow.document.contains(word, autoescape=True) for word in words_of(query.text)]
    if not visibility.sees_everything:
        conditions.append(visibility.shows(AdapterRow.owner))
    if query.base is not None:
        base = storable(query.base)
        named = select(BaseRow.id).where(or_(BaseRow.name == base, BaseRow.weights_sha256 == base))
        conditions.append(AdapterSummaryRow.base_id.in_(named))
    if query.adapter_type is not None:
        conditions.append(AdapterSummaryRow.adapter_type == storable(query.adapter_type))
    if query.status is not None:
        conditions += _with_status(query.status)
    if query.alias is not None:
        conditions.append(_with_alias(storable(query.alias)))
    for tag in query.tags:
        tagged = select(AdapterTagRow.adapter_id).where(AdapterTagRow.tag == storable(tag))
        conditions.append(AdapterRow.id.in_(tagged))
    if query.owner is not None:
        conditions.append(AdapterRow.owner == storable(query.owner))
    if query.owners:
        conditions.append(AdapterRow.owner.in_([*map(storable, query.owners)]))
    if query.min_accuracy is not None:
        conditions.append(AdapterSummaryRow.accuracy >= query.min_accuracy)
    return conditions


def _with_status(status: AdapterStatus) -> list[ColumnElement[bool]]:
    if status == "archived":
        return [AdapterRow.archived_at.is_not(None)]
    usable = AdapterSummaryRow.newest_id
    return [AdapterRow.archived_at.is_(None), usable.is_not(None) if status == "active" else usable.is_(None)]


def _with_alias(alias: str) -> ColumnElement[bool]:
    if alias == "latest":  # computed, not stored
        return AdapterSummaryRow.newest_id.is_not(None)
    return AdapterRow.id.in_(select(AliasRow.adapter_id).where(AliasRow.alias == alias))


def _facet(session: Session, counts: Any) -> tuple[Facet, ...]:
    """Return the values of the first column of `counts`, most frequent first."""
    value, n = counts.selected_columns
    counted = counts.where(value.is_not(None)).group_by(value).order_by(n.desc(), value).limit(MAX_FACETS)
    return tuple(Facet(found, number) for found, number in session.execute(counted))


def _entries(session: Session, ids: Sequence[int]) -> tuple[AdapterEntry, ...]:
    """Return the adapters of these ids, in their order."""
    rows = {row.id: row for row in session.execute(_LIGHT.where(AdapterRow.id.in_(ids)))}
    evaluations = _evaluations(session, [row.newest_id for row in rows.values() if row.newest_id is not None])
    tags = _tags(session, ids)
    aliases = _aliases(session, ids)
    return tuple(
        AdapterEntry(
            slug=row.slug,
            title=row.title,
            description=row.description,
            owner=row.owner,
            status=_status(row),
            created_at=row.created_at,
            archived_at=row.archived_at,
            versions=row.versions,
            tags=tuple(tags[row.id]),
            aliases=aliases[row.id],
            newest=None if row.newest_id is None else _newest(row, evaluations[row.newest_id]),
        )
        for row in (rows[adapter_id] for adapter_id in ids)
    )


def _status(row: Any) -> AdapterStatus:
    if row.archived_at is not None:
        return "archived"
    return "withdrawn" if row.newest_id is None else "active"


def _newest(row: Any, evaluations: Mapping[Split, Any]) -> NewestVersion:
    validation, test = evaluations.get("validation"), evaluations.get("test")
    probed = test or validation
    return NewestVersion(
        version=row.version,
        base=row.base,
        base_sha256=row.base_sha256,
        adapter_type=row.adapter_type,
        n_params=row.n_params,
        size_bytes=row.size_bytes,
        image_size=row.image_size,
        n_classes=len(row.class_names),
        class_names=tuple(row.class_names[:SHOWN_CLASSES]),
        validation_accuracy=validation.accuracy if validation else None,
        test_accuracy=test.accuracy if test else None,
        linear_probe_accuracy=probed.linear_probe_accuracy if probed else None,
        published_at=row.published_at,
    )


def _evaluations(session: Session, ids: Collection[int]) -> defaultdict[int, dict[Split, Any]]:
    statement = select(
        EvaluationRow.version_id,
        EvaluationRow.split,
        EvaluationRow.accuracy,
        EvaluationRow.linear_probe_accuracy,
    )
    found: defaultdict[int, dict[Split, Any]] = defaultdict(dict)
    for row in session.execute(statement.where(EvaluationRow.version_id.in_(ids))):
        found[row.version_id][row.split] = row
    return found


def _tags(session: Session, ids: Collection[int]) -> defaultdict[int, list[str]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    statement = select(AdapterTagRow.adapter_id, AdapterTagRow.tag).order_by(AdapterTagRow.tag)
    for adapter_id, tag in session.execute(statement.where(AdapterTagRow.adapter_id.in_(ids))):
        found[adapter_id].append(tag)
    return found


def _aliases(session: Session, ids: Collection[int]) -> defaultdict[int, dict[str, int]]:
    found: defaultdict[int, dict[str, int]] = defaultdict(dict)
    statement = (
        select(AliasRow.adapter_id, AliasRow.alias, VersionRow.version)
        .join(VersionRow, VersionRow.id == AliasRow.version_id)
        .where(AliasRow.adapter_id.in_(ids))
        .order_by(AliasRow.alias)
    )
    for adapter_id, alias, version in session.execute(statement):
        found[adapter_id][alias] = version
    return found
