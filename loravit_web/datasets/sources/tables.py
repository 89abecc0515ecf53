"""Tables of labels beside their images: in a folder, in a zip, or uploaded together with a zip."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loravit_web.datasets.errors import AmbiguousLayout, NoLabelColumns
from loravit_web.datasets.layout.files import skip_reason, system_reason
from loravit_web.datasets.layout.plan import Placement, Plan
from loravit_web.datasets.layout.words import split_of, splits_of
from loravit_web.datasets.records import Skipped, Split
from loravit_web.datasets.sources.csv_rows import read_table
from loravit_web.datasets.sources.label_table import LabelRow, LabelTable
from loravit_web.images.loading import IMAGE_SUFFIXES
from loravit_web.util.labels import several
from loravit_web.util.text import listed, plural

TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
MAX_TABLES = 50
"""Maximum number of tables that are read to find the one with the labels."""
MAX_TABLE_BYTES = 64 << 20
_MISSING = "it is not among the images"


@dataclass(frozen=True, slots=True)
class Found:
    """A table with labels.

    Attributes:
        path: Relative path of the table.
        table: Its rows.
    """

    path: str
    table: LabelTable

    @property
    def split(self) -> Split | None:
        """Split that its name or the folder around it means, if no column tells the splits."""
        if self.table.has_splits:
            return None
        folder, _, name = self.path.rpartition("/")
        return split_of(posixpath.splitext(name)[0]) or split_of(folder.rpartition("/")[2])

    @property
    def rows(self) -> list[LabelRow]:
        """Rows with paths relative to the data, and with the split of the table."""
        folder = self.path.rpartition("/")[0]
        split = self.split
        return [
            replace(
                row,
                path=posixpath.normpath(posixpath.join(folder, row.path)),
                split=split if split is not None else row.split,
            )
            for row in self.table.rows
        ]


class ImageIndex:
    """Images by the ways in which tables name them: path, path inside the top folder, file name, stem.

    Args:
        paths: Relative paths of all files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        images = {path: number for number, path in enumerate(paths) if system_reason(path) is None}
        self._exact = images
        tops = {path.partition("/")[0] for path in images if "/" in path}
        self._top = f"{tops.pop()}/" if len(tops) == 1 else ""
        names: defaultdict[str, set[int]] = defaultdict(set)
        stems: defaultdict[str, set[int]] = defaultdict(set)
        for path, number in images.items():
            stem, suffix = posixpath.splitext(path)
            names[path.rpartition("/")[2]].add(number)
            if suffix.lower() in IMAGE_SUFFIXES:
                stems[stem].add(number)
                stems[stem.rpartition("/")[2]].add(number)
        self._names, self._stems = names, stems

    def find(self, path: str) -> int | None:
        """Return the index of the image that a table names, or None if there is none or several."""
        for known in (path, self._top + path):
            if known in self._exact:
                return self._exact[known]
        name = path.rpartition("/")[2]
        for found in (self._names.get(name), self._stems.get(path), self._stems.get(name)):
            if found is not None and len(found) == 1:
                return next(iter(found))
        return None


def plan_of_tables(tables: Sequence[Found], paths: Sequence[str]) -> Plan:
    """Return the candidates that tables name.

    Tables named for splits belong together. Otherwise all of them must say the same.

    Args:
        tables: Tables with labels, at least one.
        paths: Relative paths of all files.

    Raises:
        AmbiguousLayout: If tables contradict each other.
    """
    index = ImageIndex(paths)
    used = list(tables) if len({found.split for found in tables} - {None}) > 1 else [tables[0]]
    first = _said(used[0].rows, index)
    for other in tables if len(used) == 1 else ():
        if _said(other.rows, index) != first:
            raise AmbiguousLayout(
                f"The tables {used[0].path} and {other.path} say different things about the images. Keep the "
                "one with the labels, and remove the other."
            )
    placements: list[Placement] = []
    skipped: list[Skipped] = []
    for row in (row for found in used for row in found.rows):
        number = index.find(row.path)
        if number is None:
            skipped.append(Skipped(row.path, _MISSING))
        elif (reason := skip_reason(paths[number])) is not None:
            skipped.append(Skipped(row.path, reason))
        else:
            placements.append(Placement(number, paths[number], row.split, row.class_names))
    told: tuple[str, ...] = ()
    if not any(found.table.has_splits or found.split is not None for found in used):
        placements, told = split_by_folders(placements)
    listed_numbers = {place.index for place in placements}
    names = {found.path for found in tables}
    unlisted = [
        path
        for number, path in enumerate(paths)
        if number not in listed_numbers and path not in names and skip_reason(path) is None
    ]
    skipped += [Skipped(path, "no row of the table names it") for path in unlisted]
    effects = []
    missing = sum(entry.reason == _MISSING for entry in skipped)
    if missing:
        effects.append(f"{plural(missing, 'row')} of the table left out, because the images are not there.")
    if unlisted:
        effects.append(f"{plural(len(unlisted), 'image')} left out, because no row of the table names them.")
    lost = names_in(row for found in used for row in found.table.rows) - names_in(placements)
    many = any(several(found.table.labels) for found in used)
    read = f"The labels were read from {listed([found.path for found in used])}."
    return Plan(
        tuple(placements),
        tuple(skipped),
        tuple(effects),
        (read, *told, *dict.fromkeys(note for found in used for note in found.table.notes)),
        lost=tuple(sorted(lost)),
        labels="many" if many else "one",
        from_table=True,
    )


def split_by_folders(placements: list[Placement]) -> tuple[list[Placement], tuple[str, ...]]:
    """Return candidates with the splits that the folders of one level name, and a sentence about it.

    All folders of the level must be named for splits, because the table may also list folders of classes.
    """
    folders = [place.path.split("/")[:-1] for place in placements]
    for level in range(min(map(len, folders), default=0)):
        names = {parts[level] for parts in folders}
        splits = splits_of(names)
        if len(splits) == len(names) and len(set(splits.values())) > 1:
            placed = [
                replace(place, split=splits[parts[level]])
                for place, parts in zip(placements, folders, strict=True)
            ]
            quoted = listed([f"“{name}”" for name in sorted(names)])
            return placed, (f"The splits were read from the folders {quoted}.",)
    return placements, ()


def names_in(labeled: Iterable[LabelRow | Placement]) -> set[str]:
    """Return the names of all classes of rows or candidates."""
    return {name for one in labeled for name in one.class_names}


def labeled_tables(files: Mapping[str, Path], max_rows: int) -> list[Found]:
    """Return the tables that have columns of paths and labels.

    Args:
        files: File by the relative path of each table.
        max_rows: Maximum number of rows of a table.
    """
    tables = []
    for path, file in sorted(files.items()):
        try:
            tables.append(Found(path, read_table(file, max_rows)))
        except NoLabelColumns:
            continue  # another kind of table
    return tables


def _said(rows: Sequence[LabelRow], index: ImageIndex) -> set[tuple[int | None, tuple[str, ...], Split]]:
    return {(index.find(row.path), row.class_names, row.split) for row in rows}
