"""Labels of a JSON file as a table of labels, whichever program wrote the file."""

from __future__ import annotations

from pathlib import Path

from loravit_web.datasets.errors import CsvPathOutside, InvalidAnnotations, NoAnnotations
from loravit_web.datasets.sources.annotations.coco import is_coco, read_coco
from loravit_web.datasets.sources.annotations.entries import Entries, path_in
from loravit_web.datasets.sources.annotations.json_text import read_json, read_json_lines
from loravit_web.datasets.sources.annotations.label_studio import is_label_studio, read_label_studio
from loravit_web.datasets.sources.annotations.records import HINT, check_rows, read_records
from loravit_web.datasets.sources.csv_table.labels import MOST_LABELS
from loravit_web.datasets.sources.label_table import LabelRow, LabelTable
from loravit_web.datasets.sources.scan import clean_class_name

LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
ANNOTATION_SUFFIXES = frozenset({".json", *LINES_SUFFIXES})


def read_annotations(path: Path, max_rows: int) -> LabelTable:
    """Return the images that a JSON file labels.

    Paths lead nowhere outside of the file's folder: what is above a folder is left out of a path, and a link
    that leads outside is refused.

    Args:
        path: The file.
        max_rows: Maximum number of images.

    Raises:
        NoAnnotations: If the file is JSON without labels of images.
        InvalidAnnotations: If it is no JSON, or its labels cannot be read.
        CsvPathOutside: If a path leads outside of the folder.
        ClassNameTooLong: If a class name is too long.
        TooManyEntries: If it has too many images.
    """
    found = _entries(path, max_rows)
    check_rows(len(found.entries), max_rows, path.name)
    folder = path.resolve().parent
    rows = []
    for entry in found.entries:
        shown = path_in(entry.path)
        names = tuple(dict.fromkeys(filter(None, map(clean_class_name, entry.names))))
        if not shown or (found.labels == "one" and len(names) != 1):
            raise InvalidAnnotations(f"“{path.name}” has an image without a path or a label. Correct it.")
        if len(names) > MOST_LABELS:
            raise InvalidAnnotations(
                f"“{path.name}” has an image with {len(names)} labels. The limit is {MOST_LABELS}; use fewer."
            )
        rows.append(LabelRow(shown, _file(shown, folder, path.name), names, entry.split or "train"))
    return LabelTable(tuple(rows), found.labels, found.notes, found.has_splits)


def _entries(path: Path, max_rows: int) -> Entries:
    if path.suffix.lower() in LINES_SUFFIXES:
        return read_records(read_json_lines(path), path.name, max_rows)
    document = read_json(path)
    if is_coco(document):
        return read_coco(document, path.name)
    if is_label_studio(document):
        return read_label_studio(document, path.name)
    if isinstance(document, list) and document:
        return read_records(document, path.name, max_rows)
    raise NoAnnotations(f"“{path.name}” does not list images with labels. {HINT}")


def _file(shown: str, folder: Path, name: str) -> Path:
    """Return the file of an image: at its path below the folder, or directly in the folder."""
    for file in (folder / shown, folder / shown.rpartition("/")[2]):
        try:
            if not file.is_file():
                continue
            if file.resolve().is_relative_to(folder):
                return file
        except (OSError, RuntimeError, ValueError) as error:
            raise InvalidAnnotations(f"“{name}” has an invalid path. Correct it.") from error
        raise CsvPathOutside(
            f"“{name}” names an image outside of its folder. Move the images there and use relative paths."
        )
    return folder / shown
