"""Parquet files with a column of images, as the Hugging Face Hub stores datasets.

They are read by pyarrow, an extra that the operator installs. It is a large native library that a damaged
file can abort, so `parquet_process` runs this module in a process of its own.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loravit_web.datasets.errors import InvalidParquet, ParquetPackageMissing, TooManyEntries
from loravit_web.datasets.layout.plan import Placement, Plan
from loravit_web.datasets.layout.words import split_of
from loravit_web.datasets.records import Skipped, Split
from loravit_web.datasets.sources.annotations.entries import path_in
from loravit_web.datasets.sources.archives import MIB, ArchiveLimits, too_many_bytes
from loravit_web.datasets.sources.csv_table.columns import LABEL, PATH, roles, split_in, split_places
from loravit_web.datasets.sources.scan import clean_class_name
from loravit_web.util.labels import Labels
from loravit_web.util.text import plural

PARQUET_SUFFIX = ".parquet"
ROWS_AT_ONCE = 64
"""Number of rows whose images are read together."""
MAX_GROUP_BYTES = 1 << 30
"""Maximum size in bytes of the images of a row group, which pyarrow reads together."""
MAX_LABEL_BYTES = 256 << 20
"""Maximum size in bytes of the columns that are read beside the images."""
_SHARD = re.compile(r"[-_.]?\d+-of-\d+$")


@dataclass(frozen=True, slots=True)
class _Table:
    """A file and what its columns mean.

    Attributes:
        path: Relative path of the file.
        file: The opened file, a `pyarrow.parquet.ParquetFile`.
        image: Name of the column of images.
        inner: Name of the field of an image with its bytes, or None if the column has the bytes.
        label: Name of the column of labels.
        names: Names of the classes by number, or None if labels are texts.
        split: Split that the file or its folder is named for, or None.
    """

    path: str
    file: Any
    image: str
    inner: str | None
    label: str
    names: Sequence[str] | None
    split: Split | None


class ParquetRows:
    """The images of Parquet files by number; fast if they are read in order.

    Args:
        tables: The files.
        rows: File and row of each image, by number.
        limits: Limits of the import.
    """

    def __init__(
        self, tables: Sequence[_Table], rows: Sequence[tuple[int, int]], limits: ArchiveLimits
    ) -> None:
        self._tables, self._rows, self._limits = tables, rows, limits
        self._at: tuple[int, int] = (-1, -1)
        self._images: Iterator[bytes | None] = iter(())

    def read(self, index: int) -> bytes | None:
        """Return the bytes of an image, or None if there are none.

        Raises:
            ArchiveTooLarge: If the image is larger than a file may be.
            InvalidParquet: If the file is damaged.
        """
        table, row = self._rows[index]
        if table != self._at[0] or row < self._at[1]:
            self._images, self._at = _images_of(self._tables[table]), (table, 0)
        image: bytes | None = None
        while self._at[1] <= row:
            image = next(self._images, None)
            self._at = (table, self._at[1] + 1)
        return image


def plan_of_parquet(files: Mapping[str, Path], limits: ArchiveLimits) -> tuple[Plan, ParquetRows]:
    """Return the candidates of Parquet files, and their images.

    Args:
        files: File by the relative path of each Parquet file.
        limits: Limits of the import.

    Raises:
        ParquetPackageMissing: If pyarrow is not installed.
        InvalidParquet: If a file is damaged, or has no columns of images and labels.
        TooManyEntries: If there are too many images.
        ArchiveTooLarge: If the images are larger than an import may be.
    """
    tables = [_opened(path, file) for path, file in sorted(files.items())]
    count = sum(table.file.metadata.num_rows for table in tables)
    if count > limits.max_entries:
        raise TooManyEntries(
            f"There are {count} images, and the limit is {limits.max_entries}. Use fewer images."
        )
    if sum(map(_image_bytes, tables)) > limits.max_total_bytes:
        raise too_many_bytes(limits)
    placements: list[Placement] = []
    skipped: list[Skipped] = []
    rows: list[tuple[int, int]] = []
    labels: Labels = "one"
    for number, table in enumerate(tables):
        for row, (path, names, split) in enumerate(_labels_of(table)):
            several = isinstance(names, list)
            labels = "many" if several else labels
            classes = tuple(dict.fromkeys(filter(None, map(clean_class_name, names))))
            if not classes and not several:
                skipped.append(Skipped(path, "it has no label"))
                continue
            placements.append(Placement(len(rows), path, split, classes))
            rows.append((number, row))
    note = f"The images and labels were read from {plural(len(tables), 'Parquet file')}."
    effects = (f"{plural(len(skipped), 'row')} without a label left out.",) if skipped else ()
    plan = Plan(tuple(placements), tuple(skipped), effects, (note,), labels=labels, from_table=True)
    return plan, ParquetRows(tables, rows, limits)


def _opened(path: str, file: Path) -> _Table:
    try:
        package = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ParquetPackageMissing(
            "Parquet files need the package pyarrow. Install it with pip install 'loravit-web[parquet]'."
        ) from error
    try:
        opened = package.ParquetFile(
            file, thrift_string_size_limit=16 * MIB, thrift_container_size_limit=1_000_000
        )
        schema = opened.schema_arrow
        columns = {field.name: field.type for field in schema}
        told = _told(schema.metadata)
    except Exception as error:
        raise _damaged(path) from error
    image, inner = _image_column(columns, told, path)
    names = list(columns)
    label = next((name for name in columns if told.get(name, {}).get("_type") == "ClassLabel"), None)
    if label is None:
        meant = roles([name for name in names if name != image])
        if LABEL not in meant:
            raise InvalidParquet(f"“{path}” has no column of labels. Name it label.")
        label = [name for name in names if name != image][meant[LABEL]]
    classes = told.get(label, {}).get("names")
    is_named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    stem = _SHARD.sub("", path.rpartition("/")[2].removesuffix(PARQUET_SUFFIX))
    split = split_of(stem) or split_of(path.rpartition("/")[0].rpartition("/")[2])
    return _Table(path, opened, image, inner, label, classes if is_named else None, split)


def _told(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """Return the features that the package datasets writes beside the schema; none of other programs."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {name: one for name, one in features.items() if isinstance(one, dict)}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def _image_column(columns: Mapping[str, Any], told: Mapping[str, Any], path: str) -> tuple[str, str | None]:
    types = importlib.import_module("pyarrow.types")
    found: list[tuple[str, str | None]] = []
    for name, kind in columns.items():
        if types.is_struct(kind) and "bytes" in [kind.field(n).name for n in range(kind.num_fields)]:
            found.append((name, "bytes"))
        elif types.is_binary(kind) or types.is_large_binary(kind):
            found.append((name, None))
    named = [one for one in found if told.get(one[0], {}).get("_type") == "Image"] or found
    if len(named) != 1:
        raise InvalidParquet(
            f"“{path}” has {plural(len(named), 'column')} of images instead of one. Remove the others."
        )
    return named[0]


def _image_bytes(table: _Table) -> int:
    """Return the size of all images of a file in bytes as it tells it, and check each row group."""
    metadata, total = table.file.metadata, 0
    for number in range(metadata.num_row_groups):
        size = _size_in(metadata.row_group(number), [table.image])
        if size > MAX_GROUP_BYTES:
            raise InvalidParquet(
                f"“{table.path}” has a row group of {size // MIB} MiB. Write it with smaller row groups."
            )
        total += size
    return total


def _size_in(group: Any, names: Sequence[str]) -> int:
    """Return the size in bytes of columns in a row group as it tells it."""
    columns = (group.column(at) for at in range(group.num_columns))
    return sum(one.total_uncompressed_size for one in columns if one.path_in_schema.split(".")[0] in names)


def _read_columns(table: _Table) -> list[str]:
    """Return the label and the columns of short values, one of which may be the path or the split.

    Raises:
        InvalidParquet: If they are too large.
    """
    types = importlib.import_module("pyarrow.types")
    tests = (types.is_integer, types.is_boolean, types.is_floating, types.is_string, types.is_large_string)
    names = [
        field.name
        for field in table.file.schema_arrow
        if field.name == table.label or any(test(field.type) for test in tests)
    ]
    metadata = table.file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if sum(_size_in(group, names) for group in groups) > MAX_LABEL_BYTES:
        raise InvalidParquet(
            f"“{table.path}” has more than {MAX_LABEL_BYTES // MIB} MiB beside its images. Remove columns."
        )
    return names


def _labels_of(table: _Table) -> Iterator[tuple[str, list[str] | tuple[str, ...], Split]]:
    """Yield path, labels and split of each row; several labels are a list."""
    names = _read_columns(table)
    has_path = table.inner is not None and "path" in _fields(table)
    wanted = [*names, *([f"{table.image}.path"] if has_path else [])]
    try:
        rows = [row for batch in table.file.iter_batches(columns=wanted) for row in batch.to_pylist()]
    except Exception as error:
        raise _damaged(table.path) from error
    at = names.index(table.label)
    cells = [[_text(row.get(name)) for name in names] for row in rows]
    split_at = next(iter(split_places(names, cells, [at])), None)
    path_at = roles(names).get(PATH)
    stem = _SHARD.sub("", table.path.removesuffix(PARQUET_SUFFIX))
    for number, row in enumerate(rows):
        image = row.get(table.image)
        given = image.get("path") if isinstance(image, dict) else None
        shown = path_in(given) if isinstance(given, str) else ""
        if not shown and path_at is not None and path_at != at:
            shown = path_in(cells[number][path_at])
        split = table.split or "train"
        if table.split is None and split_at is not None:
            split = split_in(names, split_at, cells[number][split_at]) or "train"
        value = row.get(table.label)
        told = [_name(table, one) for one in value] if isinstance(value, list) else (_name(table, value),)
        yield f"{stem}/{shown or f'{number:06}'}", told, split


def _name(table: _Table, value: Any) -> str:
    if table.names is not None and isinstance(value, int):
        return table.names[value] if 0 <= value < len(table.names) else ""
    return _text(value)


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float | bool) else ""


def _fields(table: _Table) -> list[str]:
    kind = table.file.schema_arrow.field(table.image).type
    return [kind.field(number).name for number in range(kind.num_fields)]


def _images_of(table: _Table) -> Iterator[bytes | None]:
    column = table.image if table.inner is None else f"{table.image}.{table.inner}"
    try:
        for batch in table.file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[column]):
            for value in batch.column(0):
                found = value.as_py()
                content = found.get(table.inner) if isinstance(found, dict) else found
                yield content if isinstance(content, bytes) else None
    except Exception as error:
        raise _damaged(table.path) from error


def _damaged(path: str) -> InvalidParquet:
    return InvalidParquet(f"“{path}” is not a Parquet file, or it is damaged. Write or download it again.")
