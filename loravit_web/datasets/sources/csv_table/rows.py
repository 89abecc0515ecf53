"""Rows of a table with columns of paths, labels and optionally splits; errors name the line."""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TextIO

from loravit_web.datasets.errors import ColumnNotFound, CsvPathOutside, InvalidCsv, TooManyEntries
from loravit_web.datasets.records import Split
from loravit_web.datasets.sources.csv_table.columns import (
    LABEL,
    PATH,
    SPLIT,
    flag_of,
    plain,
    split_of_row,
    split_places,
)
from loravit_web.datasets.sources.csv_table.labels import (
    Cells,
    LabelReader,
    label_reader,
)
from loravit_web.datasets.sources.csv_table.roles import (
    IsImage,
    no_columns,
    place_of,
    roles_of,
    without_query,
)
from loravit_web.datasets.sources.label_table import LabelRow, LabelTable
from loravit_web.util.text import listed

LONGEST_ROW = 1 << 20
"""Maximum number of characters of a row."""
NO_COLUMN = "none"
"""Name that chooses no column."""
_BOXES = frozenset({"xmin", "ymin", "xmax", "ymax", "x1", "y1", "bbox", "boundingbox", "bboxx", "bboxes"})
_WHOLE = re.compile(r"\d+\.0+")
_TOLD = re.compile("sep=([,;|\t])", re.IGNORECASE)
"""First line in which a spreadsheet names the separator."""
ROW_CHARACTERS = 1024
"""Maximum number of characters of a row on average."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns that a person chose by their names; None to find one.

    Attributes:
        path: Column of the paths.
        label: Column of the labels.
        split: Column of the splits, or `NO_COLUMN` if no column is.
    """

    path: str | None = None
    label: str | None = None
    split: str | None = None


FIND_COLUMNS = Columns()
"""All columns are found."""


def chosen_columns(choices: Iterable[str]) -> Columns:
    """Return the columns that texts such as ``label=breed`` choose.

    Args:
        choices: Texts with a role and the name of a column; empty ones are ignored.

    Raises:
        ColumnNotFound: If a text is none.
    """
    chosen: dict[str, str] = {}
    for text in filter(None, (choice.strip() for choice in choices)):
        role, equals, column = text.partition("=")
        role = role.strip().lower()
        if role not in (PATH, LABEL, SPLIT) or not equals or not column.strip():
            raise ColumnNotFound(
                f"“{text[:40]}” chooses no column. Use path, label or split and the name of a column, such "
                "as label=breed."
            )
        chosen[role] = column.strip()
    return Columns(chosen.get(PATH), chosen.get(LABEL), chosen.get(SPLIT))


def read_table(
    path: Path, max_rows: int, *, is_image: IsImage | None = None, columns: Columns = FIND_COLUMNS
) -> LabelTable:
    """Return the rows of a CSV in UTF-8.

    Paths are relative to the folder of the CSV and must stay inside. The separator is a comma, a semicolon, a
    tab or a bar, as in the header. Rows without a split are training rows. Columns are found by their names,
    and by their values if their names do not tell.

    Args:
        path: The CSV file.
        max_rows: Maximum number of rows.
        is_image: Returns whether a cell names an image of the data; None if that cannot be known.
        columns: Columns that a person chose.

    Raises:
        InvalidCsv: If the CSV or a row is invalid.
        LabelColumnUnclear: If several columns can be that of the labels.
        CsvPathOutside: If a path leads outside the folder.
        ClassNameTooLong: If a class name is too long.
        TooManyEntries: If there are too many rows.
    """
    folder = path.resolve().parent
    written, cells = _cells(path, max_rows)
    header = roles_of(path.name, written, list(cells.values()), is_image, columns)
    places = {name.lower(): place for place, name in enumerate(header) if name}
    used = [places[name] for name in (PATH, LABEL) if name in places]
    splits = _split_columns(path.name, written, list(cells.values()), used, places.get(SPLIT), columns)
    for at in splits:
        header[at] = ""
    if splits:
        header = ["" if name.lower() == SPLIT else name for name in header]
        header[splits[0]] = SPLIT
    notes = list(_notes(path.name, written, header))
    if LABEL in places and _whole_numbers([row[places[LABEL]] for row in cells.values()]):
        notes.append("Labels such as 1.0 were read as whole numbers, such as 1.")
        for row in cells.values():
            row[places[LABEL]] = row[places[LABEL]].partition(".")[0]
    reader = label_reader(header, list(cells.values()), path.name)
    rows = []
    for number, row in cells.items():
        where = f"Line {number} of “{path.name}”"
        meant = split_of_row(written, splits, row)
        if meant is None:
            raise InvalidCsv(f"{where} has the unknown split “{row[splits[0]]}”. Use train, val or test.")
        rows.append(_row(row, places[PATH], meant, reader, folder, where))
    named = {*places.values(), *splits} if reader.uses_all else {places[PATH], *used, *splits, *reader.used}
    notes += _unused(written, cells.values(), named)
    return LabelTable(tuple(rows), reader.labels, (*notes, *reader.notes), bool(splits))


def _split_columns(
    name: str,
    header: Cells,
    rows: Sequence[Cells],
    used: Sequence[int],
    named: int | None,
    columns: Columns,
) -> list[int]:
    """Return the columns of the splits, best first; a column of numbers is refused.

    Raises:
        InvalidCsv: If the splits are numbers, whose meaning cannot be known.
    """
    if columns.split == NO_COLUMN:
        return []
    if columns.split is not None:
        return [place_of(name, header, columns.split)]
    found = split_places(header, rows, used) or ([] if named is None else [named])
    values = {row[found[0]] for row in rows} if found else set()
    if (
        values
        and all(value.replace(".0", "") in ("0", "1", "2") for value in values)
        and not flag_of(header[found[0]])
    ):
        raise InvalidCsv(
            f"The column “{header[found[0]]}” of “{name}” has the unknown split “{min(values)}”. Use train, "
            f"val or test, or choose split={NO_COLUMN} (--column in the shell)."
        )
    return found


def _notes(name: str, written: Sequence[str], header: Sequence[str]) -> Iterator[str]:
    """Yield which columns were taken for which role, if they are named otherwise."""
    renamed = [(old, new) for old, new in zip(written, header, strict=True) if new and old != new]
    unusual = [f"“{old}” for the {new}" for old, new in renamed if old.lower() != new]
    if unusual:
        yield f"Columns of “{name}” were taken by their names and values: {listed(unusual)}."


def _unused(header: Sequence[str], rows: Iterable[Cells], used: Collection[int]) -> Iterator[str]:
    """Yield which columns were not used, and that boxes are not."""
    filled = {at for row in rows for at, cell in enumerate(row) if cell}
    others = [name for at, name in enumerate(header) if at not in used and at in filled and name]
    others = [name for name in others if not name.lower().startswith("unnamed:")]
    if {plain(name) for name in others} & _BOXES:
        yield "The table has boxes of object detection. They are not used: each image needs one class."
    elif others:
        columns = listed([f"“{name}”" for name in others])
        yield f"{'This column is' if len(others) == 1 else 'These columns are'} not used: {columns}."


def _whole_numbers(labels: Sequence[str]) -> bool:
    """Return whether all labels are whole numbers with a decimal point, as spreadsheets write them."""
    return bool(labels) and all(_WHOLE.fullmatch(label) for label in labels)


def _cells(path: Path, max_rows: int) -> tuple[Cells, dict[int, list[str]]]:
    """Return the header, and the cells of each row with content by its line."""
    found: dict[int, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = _Lines(stream, path.name, ROW_CHARACTERS * max_rows + LONGEST_ROW)
            first = next(lines, "")
            told = _TOLD.fullmatch(first.strip())
            header, delimiter = _header(
                next(lines, "") if told else first, path.name, told[1] if told else ""
            )
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
            before = 2 if told else 1
            for count, cells in enumerate(rows, start=1):
                lines.end_row()
                if count > max_rows:
                    raise TooManyEntries(f"“{path.name}” has more than {max_rows} rows. Use fewer images.")
                if any(cell.strip() for cell in cells):
                    padded = [*cells, *[""] * (len(header) - len(cells))][: len(header)]
                    found[rows.line_num + before] = [cell.strip() for cell in padded]
    except UnicodeDecodeError as error:
        raise InvalidCsv(f"“{path.name}” is not UTF-8 text. Save it as a UTF-8 CSV.") from error
    except csv.Error as error:
        raise InvalidCsv(f"“{path.name}” is not a valid CSV ({error}). Save it again.") from error
    except OSError as error:
        raise InvalidCsv(f"“{path.name}” cannot be read. Check that the file can be opened.") from error
    return header, found


class _Lines:
    """The lines of a CSV, read with a limit on the length of rows and of the file."""

    def __init__(self, stream: TextIO, name: str, max_characters: int) -> None:
        self._stream, self._name, self._left = stream, name, max_characters
        self._row = LONGEST_ROW

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(LONGEST_ROW + 1)
        if not line:
            raise StopIteration
        self._row -= len(line)  # quoted cells can span several lines
        self._left -= len(line)
        if self._row < 0:
            raise InvalidCsv(
                f"“{self._name}” has a row of more than {LONGEST_ROW} characters. "
                "Use one short row per image."
            )
        if self._left < 0:
            raise InvalidCsv(f"“{self._name}” is too long. Use only the columns path, label and split.")
        return line

    def end_row(self) -> None:
        """Start counting the characters of the next row."""
        self._row = LONGEST_ROW


def _header(line: str, name: str, told: str) -> tuple[Cells, str]:
    """Return the names of the columns and the separator of the cells: the one that gives most columns."""
    best: tuple[Cells, str] = ((), ",")
    for delimiter in told or ",;\t|":
        header = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
        if len(header) > len(best[0]):
            best = (header, delimiter)
    if len(best[0]) < 2:
        raise no_columns(name, best[0])
    return best


def _row(cells: Cells, place: int, split: Split, reader: LabelReader, folder: Path, where: str) -> LabelRow:
    written = without_query(cells[place])
    if not written:
        raise InvalidCsv(f"{where} has no path or no label. Fill in both.")
    labels = reader.read(cells, where)
    shown, file = _inside(written, folder, where)
    return LabelRow(shown, file, labels, split)


def _inside(written: str, folder: Path, where: str) -> tuple[str, Path]:
    shown = posixpath.normpath(written.replace("\\", "/"))
    try:
        file = (folder / shown).resolve()
        outside = not file.is_relative_to(folder)
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidCsv(f"{where} has an invalid path. Correct it.") from error
    if outside or shown.startswith(("/", "..")) or PureWindowsPath(written).drive:
        raise CsvPathOutside(
            f"{where} leads outside the folder of the CSV. Move the images there and use relative paths."
        )
    return shown, file
