"""Labels of images as a table, whatever form they were written in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loravit_web.datasets.records import Split
from loravit_web.util.labels import Labels


@dataclass(frozen=True, slots=True)
class LabelRow:
    """An image and its classes.

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
class LabelTable:
    """All rows of a table.

    Attributes:
        rows: The rows in order.
        labels: How many labels a row can have.
        notes: What was taken for what, as sentences.
        has_splits: Whether the table tells the splits.
    """

    rows: tuple[LabelRow, ...]
    labels: Labels
    notes: tuple[str, ...]
    has_splits: bool
