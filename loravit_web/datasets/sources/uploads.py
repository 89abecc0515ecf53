"""Sources of uploaded files: images by class, and a table with its images in a zip or tar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from loravit_web.datasets.errors import CardIncomplete
from loravit_web.datasets.layout.files import SNIFFED_BYTES, skip_reason
from loravit_web.datasets.layout.plan import Placement, Plan
from loravit_web.datasets.records import Skipped
from loravit_web.datasets.sources.archives import DEFAULT_LIMITS, ArchiveLimits, open_archive
from loravit_web.datasets.sources.csv_table.rows import FIND_COLUMNS, Columns
from loravit_web.datasets.sources.opening import Source, contents_of, read_file
from loravit_web.datasets.sources.scan import clean_class_name
from loravit_web.datasets.sources.tables import Found, ImageIndex, plan_of_tables, read_labels
from loravit_web.datasets.sources.tars import TAR_SUFFIXES, open_tar


def files_by_class(
    cards: Sequence[tuple[str, Sequence[Path]]], limits: ArchiveLimits = DEFAULT_LIMITS
) -> Source:
    """Return a source of files by class; entries without a name and files are ignored.

    Args:
        cards: Pairs of class name and files.
        limits: Limits of the import.

    Raises:
        CardIncomplete: If there are images without a class name.
        ClassNameTooLong: If a class name is too long.
    """
    placements: list[Placement] = []
    skipped: list[Skipped] = []
    files: list[Path] = []
    for number, (typed, paths) in enumerate(cards, start=1):
        name = clean_class_name(typed)
        if paths and not name:
            raise CardIncomplete(f"Class {number} has images but no name. Enter a class name.")
        for path in paths:
            shown = f"{name}/{path.name}"
            reason = skip_reason(shown.rpartition("/")[2])
            if reason:
                skipped.append(Skipped(shown, reason))
            else:
                placements.append(Placement(len(files), shown, "train", (name,)))
                files.append(path)
    plan = Plan(tuple(placements), tuple(skipped))
    return Source("Collected images", "folder", plan, partial(read_file, files, limits.max_file_bytes))


@contextmanager
def csv_with_zip(
    csv: Path, archive: Path, limits: ArchiveLimits = DEFAULT_LIMITS, *, columns: Columns = FIND_COLUMNS
) -> Iterator[Source]:
    """Open a source of the images in an archive, with classes and splits from a table.

    Paths in the table are relative to the archive, with or without its single top folder.

    Args:
        csv: CSV, TSV, JSON or JSON lines.
        archive: Zip or tar.
        limits: Limits of the import.
        columns: Columns that a person chose.

    Raises:
        InvalidCsv: If the table is invalid.
        CsvPathOutside: If a path leads outside.
        ArchiveError: If the archive is rejected.
        ClassNameTooLong: If a class name is too long.
    """
    opening = open_tar if archive.name.lower().endswith(TAR_SUFFIXES) else open_archive
    with opening(archive, limits) as opened:
        paths = opened.paths
        content = contents_of(paths, lambda path: opened.beginning(path, SNIFFED_BYTES))
        table = read_labels(csv, limits.max_entries, ImageIndex(paths).has, columns)
        plan = plan_of_tables([Found(csv.name, table)], paths, content)
        yield Source(csv.stem, "csv", plan, lambda number: opened.read(paths[number]))
