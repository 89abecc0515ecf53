"""Which columns of a table hold paths and labels: by their names, by their values, or as a person chose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from loravit_web.datasets.errors import ColumnNotFound, LabelColumnUnclear, NoLabelColumns
from loravit_web.datasets.sources.csv_table.columns import (
    LABEL,
    PATH,
    SPLIT,
    label_places,
    split_places,
    standard,
)
from loravit_web.datasets.sources.csv_table.labels import FLAGS, HEADER_HINT, SEVERAL, Cells
from loravit_web.util.text import listed

if TYPE_CHECKING:
    from loravit_web.datasets.sources.csv_table.rows import Columns

IsImage = Callable[[str], bool]
"""Returns whether a cell names an image of the data."""
_LOOKED_AT = 200
"""Number of rows that are looked at to find the column of the paths."""
_DECIMAL = re.compile(r"-?\d+[.,]\d+(e-?\d+)?", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(\.0+)?")


def roles_of(
    name: str, written: Cells, rows: Sequence[Cells], is_image: IsImage | None, columns: Columns
) -> list[str]:
    """Return the header with ``path`` and ``label`` in place of the columns that hold them.

    Args:
        name: Name of the table, for errors.
        written: Names of the columns.
        rows: Cells of the rows.
        is_image: Returns whether a cell names an image; None if that cannot be known.
        columns: Columns that a person chose.

    Raises:
        NoLabelColumns: If no column holds paths, or none labels.
        LabelColumnUnclear: If several columns can be that of the labels.
        ColumnNotFound: If a chosen column does not exist.
    """
    header = standard(written)
    lower = [column.lower() for column in header]
    path = lower.index(PATH) if PATH in lower else None
    if columns.path is not None:
        path = place_of(name, written, columns.path)
    elif is_image is not None:
        path = _of_images(written, rows, is_image, path)
    if path is None or (is_image is not None and is_image(written[path])):
        raise no_columns(name, written)  # without a header, the first row is one of an image
    header[path] = PATH
    for at, column in enumerate(lower):
        if column == PATH and at != path:
            header[at] = written[at] if written[at].lower() != PATH else ""
    lower = [column.lower() for column in header]
    label = lower.index(LABEL) if LABEL in lower else None
    if columns.label is not None:
        label = place_of(name, written, columns.label)
    elif label is not None:
        label = _in_words(written, rows, label, path)
    elif not set(lower) & {*SEVERAL}:
        label = _by_values(name, written, rows, path, is_known=is_image is not None)
    if label is not None:
        header = ["" if column.lower() == LABEL else column for column in header]
        header[label] = LABEL
    return header


def place_of(name: str, header: Cells, column: str) -> int:
    """Return the position of a column that a person chose.

    Raises:
        ColumnNotFound: If there is no such column.
    """
    for at, known in enumerate(header):
        if known.casefold() == column.strip().casefold():
            return at
    raise ColumnNotFound(f"“{name}” has no column “{column}”. Its columns are {_quoted(header)}.")


def no_columns(name: str, header: Cells) -> NoLabelColumns:
    """Return the error for a table without columns of paths and labels."""
    found = f" Its columns are {_quoted(header)}." if any(header) else ""
    return NoLabelColumns(f"“{name}” has no columns path and label.{found} {HEADER_HINT}")


def without_query(written: str) -> str:
    """Return an address without what follows its path; other paths stay as they are."""
    return re.split(r"[?#]", written)[0] if "://" in written else written


def _of_images(header: Cells, rows: Sequence[Cells], is_image: IsImage, named: int | None) -> int | None:
    """Return the column whose cells name images, the one that is named so if half of its cells do."""
    looked = rows[:: max(1, len(rows) // _LOOKED_AT)][:_LOOKED_AT]
    shares = [sum(is_image(without_query(row[at])) for row in looked if row[at]) for at in range(len(header))]
    if named is not None and (2 * shares[named] >= len(looked) or not any(shares)):
        return named
    best = max(range(len(header)), key=lambda at: shares[at], default=None)
    return best if best is not None and 2 * shares[best] >= len(looked) > 0 else named


def _in_words(header: Cells, rows: Sequence[Cells], label: int, path: int) -> int:
    """Return the column of labels, or one that says the same in words instead of numbers."""
    if not all(_NUMBER.fullmatch(row[label]) for row in rows if row[label]):
        return label
    for at in label_places(header):
        pairs = {(row[label], row[at]) for row in rows}
        ends = [{pair[side] for pair in pairs} for side in (0, 1)]
        in_words = any(cell and not _NUMBER.fullmatch(cell) for cell in ends[1])
        if at not in (label, path) and in_words and len(pairs) == len(ends[0]) == len(ends[1]):
            return at
    return label


def _by_values(name: str, header: Cells, rows: Sequence[Cells], path: int, *, is_known: bool) -> int | None:
    """Return the one column whose values can be classes, or None if columns of 0 and 1 are the labels.

    Raises:
        NoLabelColumns: If there is none.
        LabelColumnUnclear: If there are several.
    """
    used = {path, *split_places(header, rows, [path])}
    others = [
        at for at, column in enumerate(header) if at not in used and (column and column.lower() != SPLIT)
    ]
    begins = bool(others and rows) and all(rows[0][at].lower() in FLAGS for at in others)
    if begins and (len(others) > 1 or not is_known):
        return None
    found = [at for at in others if _can_be_classes([row[at] for row in rows])]
    if not is_known or not found:
        raise no_columns(name, header)
    if len(found) > 1:
        names = _quoted([header[at] for at in found])
        raise LabelColumnUnclear(
            f"The columns {names} of “{name}” can all be the labels. Choose one, such as "
            f"label={header[found[0]]} (--column in the shell), or name it label."
        )
    return found[0]


def _can_be_classes(cells: Collection[str]) -> bool:
    """Return whether values repeat, as classes do, and are not measurements."""
    counts = Counter(cell for cell in cells if cell)
    numbers = sum(1 for value in counts if _DECIMAL.fullmatch(value) and not _NUMBER.fullmatch(value))
    return len(counts) > 1 and 2 * len(counts) <= len(cells) and 2 * numbers < len(counts)


def _quoted(names: Sequence[str]) -> str:
    return listed([f"“{name}”" for name in names])
