"""Results of versions per class, which are checked, stored, and read only on demand."""

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

_OPTIONAL = (
    "linear_probe_accuracy",
    "top5_accuracy",
    "calibration_error",
    "mean_average_precision",
    "micro_f1",
)


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """`n` images of class `true`, a fraction `share` of its images, that were predicted as `predicted`."""

    true: str
    predicted: str
    n: int
    share: float


@dataclass(frozen=True, slots=True)
class EvaluationDetails:
    """Results of a version on a split per class.

    Attributes:
        class_names: the classes in index order.
        classes: the results of each class in this order; empty if they were not computed.
        confusion: the cells of the confusion matrix that count at least one image; empty if not computed.
    """

    class_names: tuple[str, ...]
    classes: tuple[ClassMetric, ...]
    confusion: tuple[ConfusionCell, ...]


class Evaluations:
    """The results of versions per class."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def details(self, version: Version, split: Split) -> EvaluationDetails | None:
        """Return the results on a split per class, or None if the version was not evaluated on it."""
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
                classes=tuple(
                    ClassMetric(row.precision, row.recall, row.f1, row.support, row.average_precision)
                    for row in classes
                ),
                confusion=tuple(ConfusionCell(row.true_idx, row.predicted_idx, row.n) for row in cells),
            )

    def most_confused(self, version: Version, split: Split, *, limit: int = 10) -> list[ConfusedPair]:
        """Return the classes most often confused on a split, by number of images; empty if not computed."""
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


def check_evaluation(evaluation: NewEvaluation, n_classes: int) -> None:
    """Raise InvalidValue for results that cannot be those of a version with this number of classes."""
    if evaluation.split not in get_args(Split):
        raise InvalidValue(
            "an evaluation", f"its split {evaluation.split!r} is unknown. Use 'validation' or 'test'"
        )
    name = f"an evaluation on {evaluation.split}"
    number(f"{name}: n", evaluation.n, low=0, high=2**31 - 1)
    number(f"{name}: loss", evaluation.loss)
    for field in ("accuracy", "macro_f1"):
        number(f"{name}: {field}", getattr(evaluation, field), low=0, high=1)
    for field in _OPTIONAL:
        _check_optional(f"{name}: {field}", getattr(evaluation, field))
    _check_classes(name, evaluation, n_classes)
    _check_confusion(name, evaluation, n_classes)


def add_evaluation(session: Session, version_id: int, evaluation: NewEvaluation, now: datetime) -> None:
    """Add the row of an evaluation, and a row for each class and each cell of the confusion matrix."""
    row = EvaluationRow(
        version_id=version_id,
        split=evaluation.split,
        n=evaluation.n,
        accuracy=float(evaluation.accuracy),
        loss=float(evaluation.loss),
        macro_f1=float(evaluation.macro_f1),
        linear_probe_accuracy=_float(evaluation.linear_probe_accuracy),
        top5_accuracy=_float(evaluation.top5_accuracy),
        calibration_error=_float(evaluation.calibration_error),
        mean_average_precision=_float(evaluation.mean_average_precision),
        micro_f1=_float(evaluation.micro_f1),
        created_at=now,
    )
    session.add(row)
    session.flush()
    if evaluation.classes:
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
                    "average_precision": _float(metric.average_precision),
                }
                for idx, metric in enumerate(evaluation.classes)
            ],
        )
    if evaluation.confusion:
        session.execute(
            insert(ConfusionCellRow),
            [
                {
                    "evaluation_id": row.id,
                    "true_idx": cell.true_idx,
                    "predicted_idx": cell.predicted_idx,
                    "n": cell.n,
                }
                for cell in evaluation.confusion
            ],
        )


def _check_classes(name: str, evaluation: NewEvaluation, n_classes: int) -> None:
    if not evaluation.classes:
        return
    if len(evaluation.classes) != n_classes:
        found = len(evaluation.classes)
        raise InvalidValue(name, f"it has results of {found} classes instead of {n_classes}")
    for metric in evaluation.classes:
        for field in ("precision", "recall", "f1"):
            number(f"{name}: {field} of a class", getattr(metric, field), low=0, high=1)
        number(f"{name}: support of a class", metric.support, low=0)
        _check_optional(f"{name}: average precision of a class", metric.average_precision)
    if evaluation.several_labels:
        if any(metric.support > evaluation.n for metric in evaluation.classes):
            raise InvalidValue(name, f"the support of a class exceeds its {evaluation.n} images")
    elif sum(metric.support for metric in evaluation.classes) != evaluation.n:
        problem = f"the support of its classes does not add up to its {evaluation.n} images"
        raise InvalidValue(name, problem)


def _check_confusion(name: str, evaluation: NewEvaluation, n_classes: int) -> None:
    cells = evaluation.confusion
    if not cells:
        return
    if not evaluation.classes:
        raise InvalidValue(name, "it has confusion cells, but no results per class")
    images: Counter[int] = Counter()
    for cell in cells:
        if not (0 <= cell.true_idx < n_classes and 0 <= cell.predicted_idx < n_classes and cell.n > 0):
            raise InvalidValue(name, f"{cell} is not a positive count of one of its {n_classes} classes")
        images[cell.true_idx] += cell.n
    if len({(cell.true_idx, cell.predicted_idx) for cell in cells}) != len(cells):
        raise InvalidValue(name, "one of its confusion cells is listed twice")
    if any(images[idx] != metric.support for idx, metric in enumerate(evaluation.classes)):
        raise InvalidValue(name, "its confusion cells do not add up to the support of its classes")


def _check_optional(name: str, value: float | None) -> None:
    if value is not None:
        number(name, value, low=0, high=1)


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _evaluation_id(session: Session, version: Version, split: Split) -> int | None:
    found = select(EvaluationRow.id).filter_by(version_id=version.id, split=split)
    return session.scalars(found).one_or_none()
