"""Rows of a CSV with columns ``path,label`` and optionally ``split``; errors name the line."""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TextIO

from loravit_web.datasets.errors import CsvPathOutside, InvalidCsv, TooManyEntries
from loravit_web.datasets.layout.words import split_of
from loravit_web.datasets.records import Split
from loravit_web.datasets.sources.scan import clean_class_name

LONGEST_ROW = 1 << 20
"""Maximum number of characters of a row."""
ROW_CHARACTERS = 1024
"""Maximum number of characters of a row on average."""
_HEADER_HINT = "Name the columns path,label (and optionally split) in the first line."


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of the CSV.

    Attributes:
        path: Path as written, normalized.
        file: File of the image.
        class_name: Name of the class.
        split: Split of the image.
    """

    path: str
    file: Path
    class_name: str
    split: Split


def read_rows(path: Path, max_rows: int) -> Iterator[CsvRow]:
    """Yield the rows of a CSV in UTF-8 in order.

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
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = _Lines(stream, path.name, ROW_CHARACTERS * max_rows + LONGEST_ROW)
            columns, delimiter = _columns(next(lines, ""), path.name)
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
            for count, cells in enumerate(rows, start=1):
                lines.end_row()
                if count > max_rows:
                    raise TooManyEntries(f"“{path.name}” has more than {max_rows} rows. Use fewer images.")
                if any(cell.strip() for cell in cells):
                    yield _row(cells, columns, folder, f"Line {rows.line_num + 1} of “{path.name}”")
    except UnicodeDecodeError as error:
        raise InvalidCsv(f"“{path.name}” is not UTF-8 text. Save it as a UTF-8 CSV.") from error
    except csv.Error as error:
        raise InvalidCsv(f"“{path.name}” is not a valid CSV ({error}). Save it again.") from error
    except OSError as error:
        raise InvalidCsv(f"“{path.name}” cannot be read. Check that the file can be opened.") from error


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


def _columns(header: str, name: str) -> tuple[dict[str, int], str]:
    for delimiter in ",;\t":
        cells = next(csv.reader([header], delimiter=delimiter), [])
        columns = {cell.strip().lower(): position for position, cell in enumerate(cells)}
        if {"path", "label"} <= columns.keys():
            return columns, delimiter
    raise InvalidCsv(f"“{name}” has no columns path and label. {_HEADER_HINT}")


def _row(cells: list[str], columns: dict[str, int], folder: Path, where: str) -> CsvRow:
    def cell(column: str) -> str:
        position = columns.get(column, len(cells))
        return cells[position].strip() if position < len(cells) else ""

    written, split = cell("path"), cell("split").lower()
    class_name = clean_class_name(cell("label"))
    if not written or not class_name:
        raise InvalidCsv(f"{where} has no path or no label. Fill in both.")
    meant = split_of(split) if split else "train"
    if meant is None:
        raise InvalidCsv(f"{where} has the unknown split “{split}”. Use train, val or test.")
    shown, file = _inside(written, folder, where)
    return CsvRow(shown, file, class_name, meant)


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
