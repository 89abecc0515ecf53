"""The results of versions class by class: checked, stored, and read on demand, never with lists."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from registry.database.canonical import number
from registry.database.db import Database
from registry.database.models import ClassMetricRow, ConfusionCellRow, EvaluationRow
from registry.errors import InvalidValue
from registry.records import ClassMetric, ConfusionCell, NewEvaluation, Split, Version


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """`n` images of class `true`, which are `share` of its images, were taken for `predicted`."""

    true: str
    predicted: str
    n: int
    share: float


@dataclass(frozen=True, slots=True)
class EvaluationDetails:
    """The results of a version on one split class by class, in the order of `class_names`.

    `classes` and `confusion` are empty where nobody computed them. Cells that count no image are left out.
    """

    class_names: tuple[str, ...]
    classes: tuple[ClassMetric, ...]
    confusion: tuple[ConfusionCell, ...]


class Evaluations:
    """What was measured of each class of a version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def details(self, version: Version, split: Split) -> EvaluationDetails | None:
        """The results class by class on a split; None when the version was not evaluated there."""
        with self._database.reading() as session:
            evaluation_id = _evaluation_id(session, version, split)
            if evaluation_id is None:
                return None
            classes = session.scalars(
                select(ClassMetricRow).filter_by(evaluation_id=evaluation_id).order_by(ClassMetricRow.idx)
            )
            cells = session.scalars(
                select(ConfusionCellRow)
                .filter_by(evaluation_id=evaluation_id)
                .order_by(ConfusionCellRow.true_idx, ConfusionCellRow.predicted_idx)
            )
            return EvaluationDetails(
                class_names=version.class_names,
                classes=tuple(ClassMetric(one.precision, one.recall, one.f1, one.support) for one in classes),
                confusion=tuple(ConfusionCell(one.true_idx, one.predicted_idx, one.n) for one in cells),
            )

    def most_confused(self, version: Version, split: Split, *, limit: int = 10) -> list[ConfusedPair]:
        """The classes that were most often taken for others on a split, by images; none if unknown."""
        with self._database.reading() as session:
            rows = session.execute(
                select(ConfusionCellRow, ClassMetricRow.support)
                .join(EvaluationRow, EvaluationRow.id == ConfusionCellRow.evaluation_id)
                .join(
                    ClassMetricRow,
                    (ClassMetricRow.evaluation_id == ConfusionCellRow.evaluation_id)
                    & (ClassMetricRow.idx == ConfusionCellRow.true_idx),
                )
                .where(
                    EvaluationRow.version_id == version.id,
                    EvaluationRow.split == split,
                    ConfusionCellRow.true_idx != ConfusionCellRow.predicted_idx,
                )
                .order_by(
                    ConfusionCellRow.n.desc(), ConfusionCellRow.true_idx, ConfusionCellRow.predicted_idx
                )
                .limit(limit)
            )
            names = version.class_names
            return [
                ConfusedPair(names[cell.true_idx], names[cell.predicted_idx], cell.n, cell.n / support)
                for cell, support in rows
            ]


def check_evaluation(one: NewEvaluation, n_classes: int) -> None:
    """Raise InvalidValue for results that can't be true of a version with so many classes."""
    if one.split not in get_args(Split):
        raise InvalidValue("an evaluation", f"its split {one.split!r} is neither 'validation' nor 'test'")
    name = f"an evaluation on {one.split}"
    number(f"{name}: n", one.n, low=0, high=2**31 - 1)
    number(f"{name}: loss", one.loss)
    for field in ("accuracy", "macro_f1"):
        number(f"{name}: {field}", getattr(one, field), low=0, high=1)
    for field in ("linear_probe_accuracy", "top5_accuracy", "calibration_error"):
        value = getattr(one, field)
        if value is not None:
            number(f"{name}: {field}", value, low=0, high=1)
    _check_classes(name, one, n_classes)
    _check_confusion(name, one, n_classes)


def add_evaluation(session: Session, version_id: int, one: NewEvaluation, now: datetime) -> None:
    """Add the row of an evaluation, and a row for each class and cell."""
    row = EvaluationRow(
        version_id=version_id,
        split=one.split,
        n=one.n,
        accuracy=float(one.accuracy),
        loss=float(one.loss),
        macro_f1=float(one.macro_f1),
        linear_probe_accuracy=_float(one.linear_probe_accuracy),
        top5_accuracy=_float(one.top5_accuracy),
        calibration_error=_float(one.calibration_error),
        created_at=now,
    )
    session.add(row)
    session.flush()
    if one.classes:
        session.execute(
            insert(ClassMetricRow),
            [
                {
                    "evaluation_id": row.id,
                    "idx": idx,
                    "precision": float(metric.precision),
                    "recall": float(metric.recall),
                    "f1": float(metric.f1),
                    "support": metric.support,
                }
                for idx, metric in enumerate(one.classes)
            ],
        )
    if one.confusion:
        session.execute(
            insert(ConfusionCellRow),
            [
                {
                    "evaluation_id": row.id,
                    "true_idx": cell.true_idx,
                    "predicted_idx": cell.predicted_idx,
                    "n": cell.n,
                }
                for cell in one.confusion
            ],
        )


def _check_classes(name: str, one: NewEvaluation, n_classes: int) -> None:
    if not one.classes:
        return
    if len(one.classes) != n_classes:
        raise InvalidValue(name, f"it has results of {len(one.classes)} classes instead of {n_classes}")
    for metric in one.classes:
        for field in ("precision", "recall", "f1"):
            number(f"{name}: {field} of a class", getattr(metric, field), low=0, high=1)
        number(f"{name}: support of a class", metric.support, low=0)
    if sum(metric.support for metric in one.classes) != one.n:
        raise InvalidValue(name, f"the support of its classes doesn't add up to its {one.n} images")


def _check_confusion(name: str, one: NewEvaluation, n_classes: int) -> None:
    if not one.confusion:
        return
    if not one.classes:
        raise InvalidValue(name, "it has confusion cells, but no results by class")
    of_class: Counter[int] = Counter()
    for cell in one.confusion:
        if not (0 <= cell.true_idx < n_classes and 0 <= cell.predicted_idx < n_classes and cell.n > 0):
            raise InvalidValue(name, f"{cell} is no count of images of one of its {n_classes} classes")
        of_class[cell.true_idx] += cell.n
    if len({(cell.true_idx, cell.predicted_idx) for cell in one.confusion}) != len(one.confusion):
        raise InvalidValue(name, "one of its confusion cells is there twice")
    if any(of_class[idx] != metric.support for idx, metric in enumerate(one.classes)):
        raise InvalidValue(name, "its confusion cells don't add up to the support of its classes")


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _evaluation_id(session: Session, version: Version, split: Split) -> int | None:
    found = select(EvaluationRow.id).filter_by(version_id=version.id, split=split)
    return session.scalars(found).one_or_none()
