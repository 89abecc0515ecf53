"""The confusion matrix as a table whose cells can be chosen, by mouse or by keyboard."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

from loravit_web.errors import LoraVitError
from loravit_web.runs.results import classes_in_view
from loravit_web.ui.templates import render
from registry import EvaluationDetails

MOST_CLASSES = 30
CORNER = "is ↓  taken for →"
_CELL = re.compile(r"([0-9]{1,6}):([0-9]{1,6})")
_RIGHT, _WRONG = "47, 133, 90", "192, 57, 43"


class NoSuchCell(LoraVitError):
    """What was chosen is no cell of a matrix."""

    def __init__(self) -> None:
        super().__init__("There is no such cell: choose one of the matrix.")


@dataclass(frozen=True)
class Cell:
    """Images of one class that were taken for one class.

    Attributes:
        name: of the cell, as `cell_of` reads it.
        predicted: the class that they were taken for.
        n: of these images.
        is_first: whether Tab reaches this cell.
    """

    name: str
    predicted: str
    n: int
    colour: str
    is_first: bool


def confusion_table(details: EvaluationDetails, caption: str) -> Markup:
    """The matrix: a row for what images are, a column for what they were taken for.

    Colour follows the share of the row; the number of images is what counts.
    """
    view = classes_in_view(details, MOST_CLASSES)
    names = details.class_names
    counts = {(cell.true_idx, cell.predicted_idx): cell.n for cell in details.confusion}
    totals: Counter[int] = Counter()
    for (true, _), n in counts.items():
        totals[true] += n
    places = [(true, predicted) for true in view for predicted in view]
    first = next((place for place in places if place in counts), None)

    def cell(true: int, predicted: int) -> Cell | None:
        n = counts.get((true, predicted), 0)
        if not n:
            return None
        colour = _colour(n / totals[true], right=true == predicted)
        return Cell(f"{true}:{predicted}", names[predicted], n, colour, (true, predicted) == first)

    rows = [(names[true], [cell(true, predicted) for predicted in view]) for true in view]
    return render(
        "train/confusion", caption=caption, corner=CORNER, names=[names[index] for index in view], rows=rows
    )


def cell_of(chosen: str) -> tuple[int, int]:
    """True and predicted class of a cell as the page names it.

    Raises:
        NoSuchCell: if it names none.
    """
    found = _CELL.fullmatch(chosen)
    if found is None:
        raise NoSuchCell
    return int(found[1]), int(found[2])


def _colour(share: float, *, right: bool) -> str:
    return f"rgba({_RIGHT if right else _WRONG}, {0.15 + 0.6 * share:.2f})"
