"""Search for runs."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from registry.database.models import DatasetRow, EvaluationRow, RunRow, RunSummaryRow, VersionRow
from registry.queries import RunPage, RunQuery, pages_of, storable, words_of
from registry.run_records import MetricSummary, RunStatus
from registry.runs.metrics import summary_of
from registry.runs.rows import find_runs
from registry.visibility import visibility_of

_BATCH = 500
"""Ids per statement, because databases limit the number of parameters."""


def run_page(session: Session, query: RunQuery) -> RunPage:
    """Return the page of runs that a query asks for."""
    words = words_of(query.text)
    conditions = [*_conditions(query), visibility_of(session).shows(RunRow.created_by)]
    first = (query.page - 1) * query.limit
    if not words:
        total = session.scalars(select(func.count()).select_from(RunRow).where(*conditions)).one()
        runs = find_runs(session, *conditions, limit=query.limit, offset=first)
    else:
        ids = _with_words(session, words, conditions)
        total = len(ids)
        runs = find_runs(session, RunRow.id.in_(ids[first : first + query.limit]))
    return RunPage(tuple(runs), total, query.page, pages_of(total, query.limit), words)


def status_counts(session: Session, query: RunQuery) -> dict[RunStatus, int]:
    """Return how many runs of each status meet a query, whatever statuses it accepts; without zeros."""
    words = words_of(query.text)
    conditions = [
        *_conditions(replace(query, statuses=())),
        visibility_of(session).shows(RunRow.created_by),
    ]
    if words:
        ids = _with_words(session, words, conditions)
        found: Counter[RunStatus] = Counter()
        for first in range(0, len(ids), _BATCH):
            batch = RunRow.id.in_(ids[first : first + _BATCH])
            found.update(session.scalars(select(RunRow.status).where(batch)))
        return dict(found)
    counted = select(RunRow.status, func.count()).where(*conditions).group_by(RunRow.status)
    return {row[0]: row[1] for row in session.execute(counted)}


def find_summaries(session: Session, run_ids: Collection[str], key: str) -> dict[str, MetricSummary]:
    """Return the stored summary of a metric for each of the runs that logged it."""
    rows = session.scalars(
        select(RunSummaryRow)
        .join(RunRow, RunRow.id == RunSummaryRow.run_id)
        .where(RunSummaryRow.run_id.in_(run_ids), RunSummaryRow.key == key)
        .where(visibility_of(session).shows(RunRow.created_by))
    )
    return {row.run_id: summary_of(row) for row in rows}


def find_published_accuracies(session: Session, run_ids: Collection[str]) -> dict[str, float]:
    """Return the validation accuracy of the newest version of each of the runs that published one."""
    rows = session.execute(
        select(VersionRow.run_id, EvaluationRow.accuracy)
        .join(EvaluationRow, EvaluationRow.version_id == VersionRow.id)
        .join(RunRow, RunRow.id == VersionRow.run_id)
        .where(VersionRow.run_id.in_(run_ids), EvaluationRow.split == "validation")
        .where(visibility_of(session).shows(RunRow.created_by))
        .order_by(VersionRow.id)
    )
    return {run_id: accuracy for run_id, accuracy in rows if run_id is not None}


def _conditions(query: RunQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.statuses:
        conditions.append(RunRow.status.in_(query.statuses))
    if query.slug is not None:
        conditions.append(RunRow.slug == storable(query.slug))
    if query.owners:
        conditions.append(RunRow.created_by.in_([*map(storable, query.owners)]))
    if query.group is not None:
        conditions.append(RunRow.group_id.startswith(storable(query.group), autoescape=True))
    return conditions


def _with_words(
    session: Session, words: Collection[str], conditions: Collection[ColumnElement[bool]]
) -> list[str]:
    """Return the ids of the runs in which every word occurs, newest first.

    Unlike adapters, runs have no stored case-folded document, and the databases differ in how they fold case.
    Therefore five short columns of each run are compared here.
    """
    dataset_name = func.coalesce(RunRow.dataset_name, DatasetRow.name)
    statement = (
        select(RunRow.id, RunRow.slug, RunRow.title, dataset_name, func.coalesce(RunRow.group_id, ""))
        .join(DatasetRow, DatasetRow.id == RunRow.dataset_id)
        .where(*conditions)
        .order_by(RunRow.created_at.desc(), RunRow.id)
    )
    found = []
    for row in session.execute(statement):
        document = "\n".join(row).casefold()
        if all(word in document for word in words):
            found.append(row.id)
    return found
