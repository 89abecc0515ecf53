"""Rows of a CSV with a column ``path``, labels and optionally a column ``split``; errors name the line."""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TextIO

from loravit_web.datasets.errors import CsvPathOutside, InvalidCsv, TooManyEntries
from loravit_web.datasets.records import Split
from loravit_web.datasets.sources.csv_labels import (
    HEADER_HINT,
    PATH,
    SPLIT,
    Cells,
    LabelReader,
    can_have_labels,
    label_reader,
)
from loravit_web.datasets.sources.scan import SPLIT_NAMES
from loravit_web.util.labels import Labels

LONGEST_ROW = 1 << 20
"""Maximum number of characters of a row."""
ROW_CHARACTERS = 1024
"""Maximum number of characters of a row on average."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of the CSV.

    Attributes:
        path: Path as written, normalized.
        file: File of the image.
        class_names: Names of the classes.
        split: Split of the image.
    """

    path: str
    file: Path
    class_names: tuple[str, ...]
    split: Split


@dataclass(frozen=True, slots=True)
class CsvTable:
    """All rows of a CSV.

    Attributes:
        rows: The rows in order.
        labels: How many labels a row can have.
        notes: What was taken for what, as sentences.
    """

    rows: tuple[CsvRow, ...]
    labels: Labels
    notes: tuple[str, ...]


def read_table(path: Path, max_rows: int) -> CsvTable:
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
    header, cells = _cells(path, max_rows)
    reader = label_reader(header, list(cells.values()), path.name)
    places = {name.lower(): place for place, name in enumerate(header)}
    rows = (
        _row(row, places, reader, folder, f"Line {number} of “{path.name}”") for number, row in cells.items()
    )
    return CsvTable(tuple(rows), reader.labels, reader.notes)


def _cells(path: Path, max_rows: int) -> tuple[Cells, dict[int, Cells]]:
    """Return the header, and the cells of each row with content by its line."""
    found: dict[int, Cells] = {}
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
        if can_have_labels(header):
            return header, delimiter
    raise InvalidCsv(f"“{name}” has no columns path and label. {HEADER_HINT}")


def _row(cells: Cells, places: Mapping[str, int], reader: LabelReader, folder: Path, where: str) -> CsvRow:
    written, split = cells[places[PATH]], cells[places[SPLIT]].lower() if SPLIT in places else ""
    if not written:
        raise InvalidCsv(f"{where} has no path or no label. Fill in both.")
    labels = reader.read(cells, where)
    if split and split not in SPLIT_NAMES:
        raise InvalidCsv(f"{where} has the unknown split “{split}”. Use train, val or test.")
    shown, file = _inside(written, folder, where)
    return CsvRow(shown, file, labels, SPLIT_NAMES[split] if split else "train")


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
