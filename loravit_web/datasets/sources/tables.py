"""Tables of labels beside their images: in a folder, in a zip, or uploaded together with a zip."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from loravit_web.datasets.errors import (
    AmbiguousLayout,
    InvalidAnnotations,
    InvalidCsv,
    LabelColumnUnclear,
    NoAnnotations,
    NoLabelColumns,
)
from loravit_web.datasets.layout.files import skip_reason, suffix_of, system_reason
from loravit_web.datasets.layout.plan import Placement, Plan
from loravit_web.datasets.layout.words import is_unlabeled, split_of, splits_of
from loravit_web.datasets.records import Skipped, Split
from loravit_web.datasets.sources.annotations.reading import ANNOTATION_SUFFIXES, read_annotations
from loravit_web.datasets.sources.csv_table.roles import IsImage
from loravit_web.datasets.sources.csv_table.rows import FIND_COLUMNS, Columns, read_table
from loravit_web.datasets.sources.label_table import LabelRow, LabelTable
from loravit_web.images.loading import IMAGE_SUFFIXES
from loravit_web.util.labels import several
from loravit_web.util.text import listed, plural

TABLE_SUFFIXES = frozenset({".csv", ".tsv", *ANNOTATION_SUFFIXES})
MAX_TABLES = 50
"""Maximum number of tables that are read to find the one with the labels."""
MAX_TABLE_BYTES = 128 << 20
"""Maximum size of these tables together."""
_MISSING = "it is not among the images"
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


@dataclass(frozen=True, slots=True)
class Found:
    """A table with labels.

    Attributes:
        path: Relative path of the table.
        table: Its rows.
        split: Split that the table is named for, or None.
    """

    path: str
    table: LabelTable
    split: Split | None = None

    def located(self, index: ImageIndex) -> Iterator[tuple[LabelRow, int | None]]:
        """Yield each row with its path relative to the data and the split of the table, and its image.

        A path is looked up beside the table, then below the data as it is written.

        Args:
            index: The images.
        """
        folder = self.path.rpartition("/")[0]
        for row in self.table.rows:
            path = posixpath.normpath(posixpath.join(folder, row.path))
            split = self.split if self.split is not None else row.split
            yield replace(row, path=path, split=split), index.find(path, row.path)


def named_for_splits(tables: Sequence[Found]) -> list[Found]:
    """Return tables with the splits that their names or the folders around them mean.

    Words that all names share, as in ``instances_train`` and ``instances_val``, do not count. A table with a
    column of splits is named for none.
    """
    stems = {found.path: posixpath.splitext(found.path.rpartition("/")[2])[0] for found in tables}
    named = splits_of(set(stems.values()))

    def split(found: Found) -> Split | None:
        if found.table.has_splits:
            return None
        around = found.path.rpartition("/")[0].rpartition("/")[2]
        return named.get(stems[found.path]) or split_of(around)

    return [replace(found, split=split(found)) for found in tables]


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
        # a table may have other letters, another suffix, or numbers without zeros
        self._loose: defaultdict[str, set[int]] = defaultdict(set)
        for stem, numbers in stems.items():
            self._loose[_loose(stem)] |= numbers

    def has(self, written: str) -> bool:
        """Return whether a cell of a table names an image."""
        return bool(written) and self.find(posixpath.normpath(written.replace("\\", "/"))) is not None

    def find(self, *paths: str) -> int | None:
        """Return the index of the image that a table names, or None if there is none or several.

        Args:
            paths: Paths at which the image may be, the most likely one first.
        """
        for path in paths:
            for known in (path, self._top + path):
                if known in self._exact:
                    return self._exact[known]
        name = paths[0].rpartition("/")[2]
        plain = self._names.get(_UPLOADED.sub("", name))
        for found in (self._names.get(name), *map(self._stems.get, paths), self._stems.get(name), plain):
            if found is not None and len(found) == 1:
                return next(iter(found))
        alike = {number for path in {*paths, name} for number in self._loose.get(_loose(_stem(path)), ())}
        return next(iter(alike)) if len(alike) == 1 else None


def _stem(path: str) -> str:
    """Return a path without the suffix of an image."""
    stem, suffix = posixpath.splitext(path)
    return stem if suffix.lower() in IMAGE_SUFFIXES else path


def _loose(stem: str) -> str:
    folder, _, name = stem.casefold().rpartition("/")
    return f"{folder}/{name.lstrip('0') or '0'}" if name.isdigit() else f"{folder}/{name}"


def plan_of_tables(
    tables: Sequence[Found], paths: Sequence[str], content: Mapping[str, str] = MappingProxyType({})
) -> Plan:
    """Return the candidates that tables name.

    Tables named for splits belong together. Otherwise all of them must say the same.

    Args:
        tables: Tables with labels, at least one.
        paths: Relative paths of all files.
        content: Formats by path of files whose suffix does not tell; see `needs_content`.

    Raises:
        AmbiguousLayout: If tables contradict each other.
    """
    index, all_tables = ImageIndex(paths), tables
    tables, told_before = _without_predictions(tables)
    tables = named_for_splits(tables)
    has_several_splits = len({found.split for found in tables} - {None}) > 1
    used: list[Found] = []
    for found in tables:
        alike = next((one for one in used if not has_several_splits or one.split == found.split), None)
        if alike is None:
            used.append(found)
        elif _said(found, index) != _said(alike, index):
            raise AmbiguousLayout(
                f"The tables {alike.path} and {found.path} say different things about the images. Keep the "
                "one with the labels, and remove the other."
            )
    placements: list[Placement] = []
    skipped: list[Skipped] = []
    for row, number in (located for found in used for located in found.located(index)):
        if number is None:
            skipped.append(Skipped(row.path, _MISSING))
        elif (reason := skip_reason(paths[number], content.get(paths[number]))) is not None:
            skipped.append(Skipped(row.path, reason))
        else:
            placements.append(Placement(number, paths[number], row.split, row.class_names))
    told: tuple[str, ...] = ()
    if not any(found.table.has_splits or found.split is not None for found in used):
        placements, told = split_by_folders(placements)
    listed_numbers = {place.index for place in placements}
    names = {found.path for found in all_tables}
    unlisted = [
        path
        for number, path in enumerate(paths)
        if number not in listed_numbers and path not in names and skip_reason(path, content.get(path)) is None
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
        (read, *told_before, *told, *dict.fromkeys(note for found in used for note in found.table.notes)),
        lost=tuple(sorted(lost)),
        labels="many" if many else "one",
        from_table=True,
    )


def _without_predictions(tables: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """Return the tables that are not named for predictions, if there are others, and a sentence about it."""
    predictions = [found for found in tables if is_unlabeled(posixpath.basename(found.path))]
    if not predictions or len(predictions) == len(tables):
        return list(tables), []
    names = listed([found.path for found in predictions])
    return [found for found in tables if found not in predictions], [
        f"Labels of {names} are not used, because the name says that they are predictions."
    ]


def unused_labels(tables: Sequence[Found], plan: Plan, paths: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence if a table divides most images of class folders in another way than the folders do.

    Other names for the same classes are no other division.

    Args:
        tables: Tables with labels.
        plan: Plan whose classes are folders.
        paths: Relative paths of all files.
    """
    index = ImageIndex(paths)
    for found in tables:
        labels = {number: row.class_names for row, number in found.located(index)}
        covered = [place for place in plan.placements if place.index in labels]
        pairs = {(place.class_names, labels[place.index]) for place in covered}
        folders, names = ({pair[side] for pair in pairs} for side in (0, 1))
        is_renaming = len(pairs) == len(folders) == len(names)
        if 2 * len(covered) > len(plan.placements) and len(names) > 1 and not is_renaming:
            shown = listed(sorted(f"“{', '.join(label)}”" for label in names), most=3)
            return (
                f"The folders are the classes, although {found.path} gives the images other ones: {shown}. "
                "To use those, move all images into one folder.",
            )
    return ()


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


def labeled_tables(
    files: Mapping[str, Path], max_rows: int, paths: Sequence[str], columns: Columns = FIND_COLUMNS
) -> list[Found]:
    """Return the tables that have columns of paths and labels.

    Args:
        files: File by the relative path of each table.
        max_rows: Maximum number of rows of a table.
        paths: Relative paths of all files.
        columns: Columns that a person chose.

    Raises:
        NoLabelColumns: If all tables are of another kind.
        DatasetError: If a table cannot be read. Of a JSON file, and of a table with several columns that can
            be the labels, this is only told if no other file has labels.
    """
    tables = []
    problem: InvalidCsv | InvalidAnnotations | None = None
    other: NoLabelColumns | None = None
    index = ImageIndex(paths)
    for path, file in sorted(files.items()):
        try:
            tables.append(Found(path, read_labels(file, max_rows, index.has, columns)))
        except NoLabelColumns as error:
            other = other or error  # another kind of table
        except NoAnnotations:
            continue
        except (InvalidAnnotations, LabelColumnUnclear) as error:
            problem = problem or error
    if not tables and problem is not None:
        raise problem
    if not tables and other is not None:
        raise other
    return tables


def read_labels(
    path: Path, max_rows: int, is_image: IsImage | None = None, columns: Columns = FIND_COLUMNS
) -> LabelTable:
    """Return the rows of a table or a JSON file; see `read_table` and `read_annotations`."""
    if path.suffix.lower() in ANNOTATION_SUFFIXES:
        return read_annotations(path, max_rows)
    return read_table(path, max_rows, is_image=is_image, columns=columns)


def tables_among(sizes: Mapping[str, int], most: int) -> list[str]:
    """Return the files that may be tables of labels, at most `MAX_TABLES`.

    Tables come before JSON files, of which some programs write one for each image, and upper folders first.

    Args:
        sizes: Size in bytes of each file, by its relative path.
        most: Maximum size of all of them together in bytes.
    """
    found = sorted(
        (suffix_of(path) in ANNOTATION_SUFFIXES, path.count("/"), path)
        for path in sizes
        if suffix_of(path) in TABLE_SUFFIXES and system_reason(path) is None
    )
    chosen: list[str] = []
    total = 0
    for _, _, path in found:
        total += sizes[path]
        if len(chosen) == MAX_TABLES or total > most:
            break
        chosen.append(path)
    return chosen


def _said(found: Found, index: ImageIndex) -> set[tuple[int | None, tuple[str, ...], Split]]:
    return {(number, row.class_names, row.split) for row, number in found.located(index)}
