"""The confusion matrix as a table whose cells can be chosen."""

from __future__ import annotations

from typing import Any

import pandas as pd

from loravit_web.results import classes_in_view
from registry import EvaluationDetails

MOST_CLASSES = 30
CORNER = "is ↓  taken for →"
_RIGHT, _WRONG = "47, 133, 90", "192, 57, 43"


def confusion_table(details: EvaluationDetails) -> Any:
    """The matrix as a styled table: a row for what images are, a column for what they were taken for.

    Colour follows the share of the row; the number of images is what counts.
    """
    view = classes_in_view(details, MOST_CLASSES)
    names = [details.class_names[index] for index in view]
    cells = {(cell.true_idx, cell.predicted_idx): cell.n for cell in details.confusion}
    totals: dict[int, int] = {}
    for (true, _), n in cells.items():
        totals[true] = totals.get(true, 0) + n
    rows = [[cells.get((true, predicted), 0) for predicted in view] for true in view]
    text = [[name, *(str(n) if n else "·" for n in row)] for name, row in zip(names, rows, strict=True)]
    styles = [
        [
            "",
            *(
                _style(n / max(1, totals.get(true, 0)), true == predicted)
                for n, predicted in zip(row, view, strict=True)
            ),
        ]
        for row, true in zip(rows, view, strict=True)
    ]
    columns = [CORNER, *names]
    frame = pd.DataFrame(text, columns=columns)
    return frame.style.apply(lambda _: pd.DataFrame(styles, columns=columns), axis=None)


def cell_at(details: EvaluationDetails, row_name: str, column: int) -> tuple[int, int] | None:
    """True and predicted class of a chosen cell; None for a name in the first column.

    Args:
        row_name: what stands in the row's first column; rows can be sorted by the reader.
        column: its number, the first being the names.
    """
    if column < 1:
        return None
    view = classes_in_view(details, MOST_CLASSES)
    return details.class_names.index(row_name), view[column - 1]


def _style(share: float, right: bool) -> str:
    if not share:
        return ""
    return f"background-color: rgba({_RIGHT if right else _WRONG}, {0.15 + 0.6 * share:.2f})"
