"""Tables of labels that lie beside their images, and whether they or the folders give the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from loravit_web.datasets.errors import DatasetError, NoLabelColumns
from loravit_web.datasets.layout.files import suffix_of
from loravit_web.datasets.layout.plan import Plan
from loravit_web.datasets.layout.words import is_image_word
from loravit_web.datasets.sources.archives import MIB, Archive, ArchiveLimits
from loravit_web.datasets.sources.csv_table.rows import Columns
from loravit_web.datasets.sources.tables import (
    MAX_TABLE_BYTES,
    Found,
    labeled_tables,
    names_in,
    plan_of_tables,
    tables_among,
    unused_labels,
)

MAX_UNUSED_BYTES = 8 * MIB
"""Maximum size of the tables that are read although folders give the classes."""


def with_tables(
    plan: Plan,
    tables: Callable[[int], list[Found]],
    paths: Sequence[str],
    content: Mapping[str, str],
) -> Plan:
    """Return the plan of tables if the folders give no classes, else that of the folders.

    If a table divides the images of class folders in another way, a sentence says so.

    Args:
        plan: Plan of the folders.
        tables: Returns the tables with labels, of at most as many bytes together.
        paths: Relative paths of all files.
        content: Formats by path of files whose suffix does not tell.

    Raises:
        NoLabelColumns: If the images lie in no class folders, and no table names them.
        DatasetError: If the folders give no classes, and a table cannot be read.
    """
    if len(names_in(plan.placements)) < 2:
        try:
            found = tables(MAX_TABLE_BYTES)
        except NoLabelColumns as error:
            names = names_in(plan.placements)
            if not names or all(is_image_word(name) for name in names):
                raise  # the images lie in no class folders
            return replace(plan, effects=(str(error), *plan.effects))
        return plan_of_tables(found, paths, content) if found else plan
    try:
        found = tables(MAX_UNUSED_BYTES)
    except DatasetError:  # it may be any other table
        return plan
    return replace(plan, effects=(*unused_labels(found, plan, paths), *plan.effects))


def tables_inside(archive: Archive, limits: ArchiveLimits, columns: Columns, most: int) -> list[Found]:
    """Return the tables with labels inside an archive.

    Args:
        archive: The archive.
        limits: Limits of the import.
        columns: Columns that a person chose.
        most: Maximum size of the tables together in bytes.

    Raises:
        DatasetError: If a table cannot be read.
    """
    with TemporaryDirectory() as folder:
        files, left = {}, most
        for number, path in enumerate(tables_among(archive.sizes, most)):
            # in a folder of its own, because a path inside an archive is not trusted
            name = path.rpartition("/")[2]
            file = Path(folder, str(number), name if len(name.encode()) < 200 else f"table{suffix_of(path)}")
            file.parent.mkdir()
            data = archive.read(path)
            left -= len(data)  # sizes in the table of a zip may be wrong
            if left < 0:
                break
            file.write_bytes(data)
            files[path] = file
        return labeled_tables(files, limits.max_entries, archive.paths, columns)
