"""The confusion matrix as a table whose cells can be chosen, by mouse or by keyboard."""

from __future__ import annotations

import re
from html import escape

from loravit_web.errors import LoraVitError
from loravit_web.runs.results import classes_in_view
from registry import EvaluationDetails

MOST_CLASSES = 30
CORNER = "is ↓  taken for →"
_CELL = re.compile(r"([0-9]{1,6}):([0-9]{1,6})")
_RIGHT, _WRONG = "47, 133, 90", "192, 57, 43"


class NoSuchCell(LoraVitError):
    """What was chosen is no cell of a matrix."""

    def __init__(self) -> None:
        super().__init__("There is no such cell: choose one of the matrix.")


def confusion_table(details: EvaluationDetails, caption: str) -> str:
    """The matrix: a row for what images are, a column for what they were taken for.

    Colour follows the share of the row; the number of images is what counts.
    """
    view = classes_in_view(details, MOST_CLASSES)
    names = [escape(details.class_names[index]) for index in view]
    cells = {(cell.true_idx, cell.predicted_idx): cell.n for cell in details.confusion}
    totals: dict[int, int] = {}
    for (true, _), n in cells.items():
        totals[true] = totals.get(true, 0) + n
    first = next(((true, taken) for true in view for taken in view if (true, taken) in cells), None)
    heads = "".join(f"<th scope=col>{name}</th>" for name in names)
    rows = []
    for true, name in zip(view, names, strict=True):
        texts = []
        for predicted, answer in zip(view, names, strict=True):
            n = cells.get((true, predicted), 0)
            if not n:
                texts.append("<td>·</td>")
                continue
            colour = _colour(n / totals[true], right=true == predicted)
            reached = 0 if (true, predicted) == first else -1
            told = f"{n} of {name} taken for {answer}"
            texts.append(
                f'<td style="background-color: {colour}"><button type="button" tabindex="{reached}" '
                f'data-cell="{true}:{predicted}" aria-label="{told}">{n}</button></td>'
            )
        rows.append(f"<tr><th scope=row>{name}</th>{''.join(texts)}</tr>")
    return (
        f'<p class="lv-muted">{escape(caption)}</p><div class="lv-matrix"><table>'
        f"<thead><tr><th scope=col>{CORNER}</th>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
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
