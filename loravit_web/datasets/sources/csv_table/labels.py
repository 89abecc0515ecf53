"""Which labels the rows of a CSV have: one each, several in a cell, or a column of 0 and 1 for each label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from loravit_web.datasets.errors import InvalidCsv, NoLabelColumns
from loravit_web.datasets.sources.csv_table.columns import LABEL, PATH, SPLIT
from loravit_web.datasets.sources.scan import clean_class_name
from loravit_web.util.labels import Labels

Cells = Sequence[str]
"""Stripped cells of a row, as many as the header has."""

SEVERAL = ("labels", "tags")
"""Names of a column whose cells hold several labels."""
SEPARATORS = (";", "|", ",")
"""What can stand between the labels of a cell."""
MOST_LABELS = 1000
"""Maximum number of labels of a row."""
HEADER_HINT = "Name the columns path,label (and optionally split) in the first line."
FLAGS: Mapping[str, bool] = {
    **dict.fromkeys(("1", "1.0", "true"), True),
    **dict.fromkeys(("0", "0.0", "false"), False),
}
"""Cells of a column that belongs to one label."""


@dataclass(frozen=True, slots=True)
class LabelReader:
    """How the labels of a row are read.

    Attributes:
        labels: How many labels a row can have.
        notes: What was taken for what, as sentences.
        read: Returns the labels of a row; the second argument names the row in errors.
        used: Columns that are read.
        uses_all: Whether all columns with a name are labels.
    """

    labels: Labels
    notes: tuple[str, ...]
    read: Callable[[Cells, str], tuple[str, ...]]
    used: tuple[int, ...] = ()
    uses_all: bool = False


def label_reader(header: Cells, rows: Sequence[Cells], name: str) -> LabelReader:
    """Return how the labels of a CSV are read, decided by its header and its cells.

    A column ``label`` holds one label, unless it holds texts with a separator most of whose parts are also
    labels of other rows. A column ``labels`` or ``tags`` holds several. Without any of them, all columns
    beside path and split are labels if the first row has 0 or 1 there.

    Args:
        header: Names of the columns.
        rows: Rows with content.
        name: Name of the file, for errors.

    Raises:
        InvalidCsv: If no column holds labels, or two have the same name.
    """
    places = {column.lower(): place for place, column in enumerate(header)}
    if LABEL in places:
        return _one_or_several(places[LABEL], rows)
    for column in SEVERAL:
        if column in places:
            return replace(_several(places[column], rows, column), used=(places[column],))
    others = {place: column for place, column in enumerate(header) if column.lower() not in ("", PATH, SPLIT)}
    if not rows or any(rows[0][place].lower() not in FLAGS for place in others):
        raise NoLabelColumns(f"“{name}” has no columns path and label. {HEADER_HINT}")
    return _column_each(others, rows, name)


def _one_or_several(place: int, rows: Sequence[Cells]) -> LabelReader:
    cells = {row[place] for row in rows}
    for separator in SEPARATORS:
        parts = {part for cell in cells if separator in cell for part in _parts(cell, separator)}
        if 2 * len(parts & cells) > len(parts) > 1:
            return _separated(place, separator)
    unclear = next((cell for cell in sorted(cells) if ";" in cell or "|" in cell), None)
    note = f"“{unclear}” is taken as one label. If it is several, name the column labels instead of label."

    def read(row: Cells, where: str) -> tuple[str, ...]:
        label = clean_class_name(row[place])
        if not label or label.lower() == "nan":  # an empty cell, as pandas writes it
            raise InvalidCsv(f"{where} has no path or no label. Fill in both.")
        return (label,)

    return LabelReader("one", (note,) if unclear else (), read)


def _several(place: int, rows: Sequence[Cells], column: str) -> LabelReader:
    used = Counter(separator for row in rows for separator in SEPARATORS if separator in row[place])
    if used:
        return _separated(place, max(SEPARATORS, key=lambda separator: used[separator]))
    note = (
        f"Several labels per image are possible, because the column is named {column}, but no cell has more "
        "than one. Name it label if each image has exactly one."
    )

    def read(row: Cells, _where: str) -> tuple[str, ...]:
        label = clean_class_name(row[place])
        return (label,) if label else ()

    return LabelReader("many", (note,), read)


def _separated(place: int, separator: str) -> LabelReader:
    shared = cache(clean_class_name)  # one text for all rows, because there can be millions of labels

    def read(row: Cells, where: str) -> tuple[str, ...]:
        labels = tuple(dict.fromkeys(filter(None, map(shared, _parts(row[place], separator)))))
        if len(labels) > MOST_LABELS:
            raise InvalidCsv(f"{where} has {len(labels)} labels, and the limit is {MOST_LABELS}. Use fewer.")
        return labels

    return LabelReader("many", (f"Several labels per image, separated by “{separator}”.",), read)


def _column_each(columns: Mapping[int, str], rows: Sequence[Cells], name: str) -> LabelReader:
    names = {place: clean_class_name(column) for place, column in columns.items()}
    twice = [label for label, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise InvalidCsv(f"“{name}” has two columns “{twice[0]}”. Rename one of them.")

    def read(row: Cells, where: str) -> tuple[str, ...]:
        for place, label in names.items():
            if row[place].lower() not in FLAGS:
                raise InvalidCsv(
                    f"{where} has “{row[place][:40]}” in the column “{label}”. Use 0 or 1, or remove the "
                    "column."
                )
        return tuple(label for place, label in names.items() if FLAGS[row[place].lower()])

    trues = [[place for place in names if FLAGS.get(row[place].lower())] for row in rows]
    if len(names) > 1 and all(len(found) == 1 for found in trues):
        note = "One label per image: each row has exactly one 1, in the column of its class."
        return LabelReader("one", (note,), read, uses_all=True)
    note = "Several labels per image, one column for each label."
    return LabelReader("many", (note,), read, uses_all=True)


def _parts(cell: str, separator: str) -> list[str]:
    return [part.strip() for part in cell.split(separator) if part.strip()]
