"""Rows of a table with columns of paths, labels and optionally splits; errors name the line."""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import TextIO

from loravit_web.datasets.errors import CsvPathOutside, InvalidCsv, NoLabelColumns, TooManyEntries
from loravit_web.datasets.records import Split
from loravit_web.datasets.sources.columns import LABEL, PATH, SPLIT, split_in, split_places, standard
from loravit_web.datasets.sources.csv_labels import (
    HEADER_HINT,
    Cells,
    LabelReader,
    can_have_labels,
    label_reader,
)
from loravit_web.datasets.sources.label_table import LabelRow, LabelTable
from loravit_web.util.text import listed

LONGEST_ROW = 1 << 20
"""Maximum number of characters of a row."""
_WHOLE = re.compile(r"\d+\.0+")
ROW_CHARACTERS = 1024
"""Maximum number of characters of a row on average."""


def read_table(path: Path, max_rows: int) -> LabelTable:
    """Return the rows of a CSV in UTF-8.

    Paths are relative to the folder of the CSV and must stay inside. The separator is a comma, a semicolon or
    a tab, as in the header. Rows without a split are training rows.

    Args:
        path: The CSV file.
        max_rows: Maximum number of rows.

    Raises:
        InvalidCsv: If the CSV or a row is invalid.
        CsvPathOutside: If a path leads outside the folder.
        ClassNameTooLong: If a class name is too long.
        TooManyEntries: If there are too many rows.
    """
    folder = path.resolve().parent
    written, cells = _cells(path, max_rows)
    header = list(standard(written))
    places = {name.lower(): place for place, name in enumerate(header)}
    used = [places[name] for name in (PATH, LABEL) if name in places]
    split = next(iter(split_places(written, cells.values(), used)), places.get(SPLIT))
    if split is not None and split != places.get(SPLIT):
        header[split] = SPLIT
        header = ["" if name == SPLIT and at != split else name for at, name in enumerate(header)]
    notes = list(_notes(path.name, written, header))
    if LABEL in places and _whole_numbers([row[places[LABEL]] for row in cells.values()]):
        notes.append("Labels such as 1.0 were read as whole numbers, such as 1.")
        for row in cells.values():
            row[places[LABEL]] = row[places[LABEL]].partition(".")[0]
    reader = label_reader(header, list(cells.values()), path.name)
    rows = []
    for number, row in cells.items():
        where = f"Line {number} of “{path.name}”"
        meant = split_in(written, split, row[split]) if split is not None else "train"
        if split is not None and meant is None:
            raise InvalidCsv(f"{where} has the unknown split “{row[split]}”. Use train, val or test.")
        rows.append(_row(row, places[PATH], meant or "train", reader, folder, where))
    return LabelTable(tuple(rows), reader.labels, (*notes, *reader.notes), split is not None)


def _notes(name: str, written: Sequence[str], header: Sequence[str]) -> Iterator[str]:
    """Yield which columns were taken for which role, if they are named otherwise."""
    renamed = [(old, new) for old, new in zip(written, header, strict=True) if new and old != new]
    unusual = [f"“{old}” for the {new}" for old, new in renamed if old.lower() != new]
    if unusual:
        yield f"Columns of “{name}” were taken by their names and values: {listed(unusual)}."


def _whole_numbers(labels: Sequence[str]) -> bool:
    """Return whether all labels are whole numbers with a decimal point, as spreadsheets write them."""
    return bool(labels) and all(_WHOLE.fullmatch(label) for label in labels)


def _cells(path: Path, max_rows: int) -> tuple[Cells, dict[int, list[str]]]:
    """Return the header, and the cells of each row with content by its line."""
    found: dict[int, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = _Lines(stream, path.name, ROW_CHARACTERS * max_rows + LONGEST_ROW)
            header, delimiter = _header(next(lines, ""), path.name)
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
            for count, cells in enumerate(rows, start=1):
                lines.end_row()
                if count > max_rows:
                    raise TooManyEntries(f"“{path.name}” has more than {max_rows} rows. Use fewer images.")
                if any(cell.strip() for cell in cells):
                    padded = [*cells, *[""] * (len(header) - len(cells))][: len(header)]
                    found[rows.line_num + 1] = [cell.strip() for cell in padded]
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


def _header(line: str, name: str) -> tuple[Cells, str]:
    """Return the names of the columns and the separator of the cells."""
    for delimiter in ",;\t":
        header = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
        if can_have_labels(standard(header)):
            return header, delimiter
    raise NoLabelColumns(f"“{name}” has no columns path and label. {HEADER_HINT}")


def _row(cells: Cells, place: int, split: Split, reader: LabelReader, folder: Path, where: str) -> LabelRow:
    written = cells[place]
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
