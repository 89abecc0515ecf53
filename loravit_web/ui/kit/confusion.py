"""Confusion matrix as a table whose cells are selected by mouse or keyboard."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

from loravit_web.errors import LoraVitError
from loravit_web.runs.results import classes_in_view, mistakes
from loravit_web.ui.language.texts import _, gettext_noop
from loravit_web.ui.language.words import split_name
from loravit_web.ui.templates import render
from registry import EvaluationDetails, Split

MOST_CLASSES = 30
PAIRS = 50
"""Maximum number of pairs of confused classes to choose from."""
CORNER = gettext_noop("Actual ↓ Predicted →")
_CELL = re.compile(r"([0-9]{1,6}):([0-9]{1,6})")
_RIGHT, _WRONG = "47, 133, 90", "192, 57, 43"


class NoSuchCell(LoraVitError):
    """A selected cell that is not in the matrix."""

    def __init__(self) -> None:
        super().__init__(_("There is no such cell. Select a cell of the matrix."))


@dataclass(frozen=True)
class Cell:
    """Cell of the matrix that contains images.

    Attributes:
        name: Name of the cell, as `cell_of` reads it.
        predicted: Name of the predicted class.
        n: Number of images.
        colour: Background as a CSS color.
        is_first: Whether the Tab key reaches this cell.
    """

    name: str
    predicted: str
    n: int
    colour: str
    is_first: bool


def confusion_table(details: EvaluationDetails, caption: str, *, opens: bool = True) -> Markup:
    """Return the matrix as HTML, with a row for each actual class and a column for each predicted one.

    Cells show numbers of images. The color shows the fraction of the row.

    Args:
        details: Evaluation with the matrix. At most `MOST_CLASSES` classes are shown.
        caption: Text above the matrix.
        opens: Whether a cell is a button, because a click on it shows its images.
    """
    view = classes_in_view(details, MOST_CLASSES)
    names = details.class_names
    counts = {(cell.true_idx, cell.predicted_idx): cell.n for cell in details.confusion}
    totals: Counter[int] = Counter()
    for (true, _predicted), n in counts.items():
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
        "kit/confusion",
        caption=caption,
        corner=_(CORNER),
        names=[names[index] for index in view],
        rows=rows,
        opens=opens,
    )


def cell_of(chosen: str) -> tuple[int, int]:
    """Return the indices of the actual and of the predicted class of a cell.

    Args:
        chosen: Name of the cell on the page.

    Raises:
        NoSuchCell: If the text is not the name of a cell.
    """
    found = _CELL.fullmatch(chosen)
    if found is None:
        raise NoSuchCell
    return int(found[1]), int(found[2])


def caption_of(details: EvaluationDetails, split: Split) -> str:
    """Return the caption of the matrix.

    Args:
        details: Evaluation with the matrix.
        split: Split that was evaluated.
    """
    classes = len(details.class_names)
    sentences = [_("Confusion matrix ({split}). Select a cell to see its images.", split=split_name(split))]
    if classes > MOST_CLASSES:
        sentences.append(
            _("Shown are the {most} of {n} classes with the most mistakes.", most=MOST_CLASSES, n=classes)
        )
    if not mistakes(details):
        sentences.append(_("No misclassified images."))
    return " ".join(sentences)


def pairs_of(details: EvaluationDetails) -> list[tuple[str, str]]:
    """Return the most frequent confusions: text and name of the cell, as `cell_of` reads it."""
    names = details.class_names
    return [
        (
            _(
                "{n} × “{actual}” predicted as “{predicted}”",
                n=cell.n,
                actual=names[cell.true_idx],
                predicted=names[cell.predicted_idx],
            ),
            f"{cell.true_idx}:{cell.predicted_idx}",
        )
        for cell in mistakes(details)[:PAIRS]
    ]


def _colour(share: float, *, right: bool) -> str:
    return f"rgba({_RIGHT if right else _WRONG}, {0.15 + 0.6 * share:.2f})"
