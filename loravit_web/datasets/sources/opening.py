"""Opening of DATA (a folder, a zip, a CSV or sample:NAME) as candidate files with their bytes on demand."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from loravit_web.datasets.errors import (
    DataNotFound,
    DataNotSupported,
    TooManyEntries,
    UnknownSample,
)
from loravit_web.datasets.layout.files import (
    SNIFFED_BYTES,
    needs_content,
    skip_reason,
    suffix_of,
)
from loravit_web.datasets.layout.interpretation import interpret
from loravit_web.datasets.layout.plan import ClassLevel, Placement, Plan
from loravit_web.datasets.records import Skipped, SourceKind
from loravit_web.datasets.sources.archives import (
    DEFAULT_LIMITS,
    MIB,
    Archive,
    ArchiveLimits,
    archive_kind,
    open_archive,
)
from loravit_web.datasets.sources.csv_table.rows import FIND_COLUMNS, Columns
from loravit_web.datasets.sources.inner_tables import tables_inside, with_tables
from loravit_web.datasets.sources.parquet import PARQUET_SUFFIX
from loravit_web.datasets.sources.parquet_process import unpack_parquet
from loravit_web.datasets.sources.samples import SAMPLES
from loravit_web.datasets.sources.tables import (
    TABLE_SUFFIXES,
    Found,
    labeled_tables,
    names_in,
    read_labels,
    split_by_folders,
    tables_among,
)
from loravit_web.datasets.sources.tars import TAR_SUFFIXES, open_tar
from loravit_web.images.formats import IMAGE_SUFFIXES, sniffed
from loravit_web.util.text import plural

DATA_SUFFIXES = frozenset({".zip", PARQUET_SUFFIX, *TAR_SUFFIXES, *TABLE_SUFFIXES})
"""Lower-case ends of the names of files that can be opened."""
SAMPLE_PREFIX = "sample:"
"""Prefix of the name of a sample."""

_LINK_OUT = "it is a link to a file outside the folder"
_LINK_FOLDER = "it is a link to a folder, which is not followed"
_LINK_BROKEN = "it is a broken link"
_NO_IMAGE = "its row has no image, or one that is too large"


class FileUnusableError(Exception):
    """A candidate whose bytes cannot be read; the text is the reason that is listed."""


@dataclass(frozen=True, slots=True)
class Source:
    """An open source of images.

    Attributes:
        name: Default name of the dataset.
        kind: Kind of the source.
        plan: Candidates with their classes and splits.
        read: Returns the bytes of the candidate with an index. Called from one thread at a time; raises
            FileUnusableError for a file that must be listed as skipped.
    """

    name: str
    kind: SourceKind
    plan: Plan
    read: Callable[[int], bytes]


@contextmanager
def open_source(
    data: str | Path,
    limits: ArchiveLimits = DEFAULT_LIMITS,
    *,
    classes_at: ClassLevel = None,
    encoding: str | None = None,
    columns: Columns = FIND_COLUMNS,
) -> Iterator[Source]:
    """Open DATA for one import.

    Args:
        data: A folder, a zip, a CSV, or ``sample:NAME``.
        limits: Limits of the import.
        classes_at: Level of the class folders of a folder or a zip, or None to find it.
        encoding: Encoding of the names in a zip that do not tell it, or None to find it.
        columns: Columns of a table that a person chose.

    Raises:
        DataNotFound: If it does not exist.
        DataNotSupported: If it is another kind of file.
        UnknownSample: If the sample does not exist.
        InvalidCsv: If the CSV is invalid.
        ArchiveError: If the zip is rejected.
        ClassNameTooLong: If a class name is too long.
        AmbiguousLayout: If folders can be read in several ways.
        LevelNotFound: If there are no folders at ``classes_at``.
    """
    text = str(data)
    if text.startswith(SAMPLE_PREFIX):
        yield _sample(text.removeprefix(SAMPLE_PREFIX))
        return
    path = Path(data).expanduser()
    kind = _kind_of(path)
    if kind == "zip":
        with open_archive(path, limits, encoding=encoding) as archive:
            source = _archive(name_of(path), kind, archive, limits, classes_at, columns)
            yield replace(source, plan=replace(source.plan, notes=(*archive.notes, *source.plan.notes)))
    elif kind == "tar":
        with open_tar(path, limits) as tar:
            yield _archive(name_of(path), kind, tar, limits, classes_at, columns)
    elif kind == "csv":
        yield _csv(path, limits, columns)
    elif kind == "parquet":
        with _parquet(name_of(path), {path.name: path}, limits) as source:
            yield source
    else:
        with _folder(path, limits, classes_at, columns) as source:
            yield source


def _kind_of(path: Path) -> SourceKind:
    try:
        if path.is_dir():
            return "folder"
        exists = path.is_file()
    except (OSError, ValueError):
        exists = False
    if not exists:
        raise DataNotFound(
            f"There is no folder or file “{path.name}”. Use a folder of class folders, a zip of such a "
            f"folder, a CSV, or {SAMPLE_PREFIX}{next(iter(SAMPLES))}."
        )
    if path.suffix.lower() in TABLE_SUFFIXES:
        return "csv"
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return "zip"
    if path.name.lower().endswith(TAR_SUFFIXES):
        return "tar"
    if path.suffix.lower() == PARQUET_SUFFIX:
        return "parquet"
    raise DataNotSupported(f"“{path.name}” is not a folder, a zip, a tar or a CSV. {_how_to_use(path)}")


def _how_to_use(path: Path) -> str:
    if sniffed(_beginning(path)) is not None:
        return "It is a single image; use a folder with several images for each class."
    kind = archive_kind(_beginning(path))
    return f"Zip the class folders{f'; a {kind} archive cannot be read' if kind else ''}."


def _sample(name: str) -> Source:
    sample = SAMPLES.get(name)
    if sample is None:
        raise UnknownSample(f"There is no sample “{name}”. Choose one of {', '.join(SAMPLES)}.")
    files = tuple(sample.generate())
    plan = interpret([path for path, _ in files])
    return Source(sample.title, "sample", plan, lambda index: files[index][1])


def name_of(path: Path) -> str:
    """Return the name of data without the suffix of an archive or a table: ``flowers.v2`` is a whole name."""
    ends = [end for end in DATA_SUFFIXES if path.name.lower().endswith(end)]
    longest = max(map(len, ends), default=0)
    return path.name[: len(path.name) - longest]


def _archive(
    name: str,
    kind: SourceKind,
    archive: Archive,
    limits: ArchiveLimits,
    classes_at: ClassLevel,
    columns: Columns,
) -> Source:
    paths = archive.paths
    content = contents_of(paths, lambda path: archive.beginning(path, SNIFFED_BYTES))
    plan = interpret(paths, folders=archive.folders, content=content, classes_at=classes_at)
    if classes_at is None:
        plan = with_tables(plan, partial(tables_inside, archive, limits, columns), paths, content)
    return Source(name, kind, plan, lambda index: archive.read(paths[index]))


def contents_of(paths: Sequence[str], beginning: Callable[[str], bytes]) -> dict[str, str]:
    """Return the formats by path of files whose suffix does not tell.

    Args:
        paths: Paths of the files.
        beginning: Returns the first bytes of a file.
    """
    labels = {path: sniffed(beginning(path)) for path in paths if needs_content(path)}
    return {path: label for path, label in labels.items() if label is not None}


@contextmanager
def _folder(root: Path, limits: ArchiveLimits, classes_at: ClassLevel, columns: Columns) -> Iterator[Source]:
    files, folders, skipped = walk(root, limits)
    by_name = dict(files)
    content = contents_of(list(by_name), lambda name: _beginning(by_name[name]))
    plan = interpret([shown for shown, _ in files], folders=folders, content=content, classes_at=classes_at)
    paths = [path for _, path in files]
    if classes_at is None:
        sizes = {shown: _size(file) for shown, file in files}

        def tables(most: int) -> list[Found]:
            chosen = {shown: by_name[shown] for shown in tables_among(sizes, most)}
            return labeled_tables(chosen, limits.max_entries, list(by_name), columns)

        plan = with_tables(plan, tables, list(by_name), content)
        shards = {shown: file for shown, file in files if suffix_of(shown) == PARQUET_SUFFIX}
        if shards and not plan.from_table and not plan.placements:
            with _parquet(root.resolve().name, shards, limits) as source:
                yield source
            return
    yield Source(
        root.resolve().name,
        "folder",
        replace(plan, skipped=(*skipped, *plan.skipped)),
        partial(read_file, paths, limits.max_file_bytes),
    )


@contextmanager
def _parquet(name: str, files: Mapping[str, Path], limits: ArchiveLimits) -> Iterator[Source]:
    with TemporaryDirectory() as folder:
        plan = unpack_parquet(files, Path(folder), limits)

        def read(index: int) -> bytes:
            file = Path(folder, str(index))
            if not file.exists():
                raise FileUnusableError(_NO_IMAGE)
            return file.read_bytes()

        yield Source(name, "parquet", plan, read)


def _existing(file: Path, folder: Path) -> Path:
    """Return a file, or the one inside the folder with the suffix of an image, as tables of ids omit it."""
    if not file.is_file():
        for suffix in sorted(IMAGE_SUFFIXES):
            other = file.with_name(file.name + suffix)
            if other.is_file() and other.resolve().is_relative_to(folder):
                return other
    return file


def _is_image(folder: Path, written: str) -> bool:
    """Return whether a cell of a table is the path of a file inside a folder."""
    try:
        file = (folder / written.replace("\\", "/")).resolve()
        return file.is_relative_to(folder) and file != folder and _existing(file, folder).is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def _csv(path: Path, limits: ArchiveLimits, columns: Columns) -> Source:
    files: list[Path] = []
    placements: list[Placement] = []
    skipped: list[Skipped] = []
    folder = path.resolve().parent
    table = read_labels(path, limits.max_entries, partial(_is_image, folder), columns)
    for row in table.rows:
        file = _existing(row.file, folder)
        shown = row.path + file.name.removeprefix(row.file.name)
        label = sniffed(_beginning(file)) if needs_content(shown) else None
        reason = skip_reason(shown, label) or (None if file.is_file() else "the file does not exist")
        if reason:
            skipped.append(Skipped(row.path, reason))
        else:
            placements.append(Placement(len(files), shown, row.split, row.class_names))
            files.append(file)
    told: tuple[str, ...] = ()
    if not table.has_splits:
        placements, told = split_by_folders(placements)
    lost = names_in(table.rows) - names_in(placements)
    missing = plural(len(skipped), "row")
    plan = Plan(
        tuple(placements),
        tuple(skipped),
        (f"{missing} of the table left out, because there is no usable image.",) if skipped else (),
        (*told, *table.notes),
        lost=tuple(sorted(lost)),
        labels=table.labels,
        from_table=True,
    )
    return Source(name_of(path), "csv", plan, partial(read_file, files, limits.max_file_bytes))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(SNIFFED_BYTES)
    except OSError:
        return b""


def walk(root: Path, limits: ArchiveLimits) -> tuple[list[tuple[str, Path]], list[str], list[Skipped]]:
    """Return the regular files below ``root`` as (path to show, path to open), and all folders, in order."""
    files: list[tuple[str, Path]] = []
    inner: list[str] = []
    skipped: list[Skipped] = []
    inside = root.resolve()

    def shown(path: str | Path) -> str:
        # Names on disk need not be UTF-8, but names that are shown or stored must be text.
        relative = Path(path).relative_to(root).as_posix()
        return os.fsencode(relative).decode("utf-8", "replace")

    def unlistable(error: OSError) -> None:
        skipped.append(Skipped(shown(error.filename), "the folder cannot be opened"))

    for parent, folders, names in os.walk(root, onerror=unlistable):
        folders.sort()
        links = [Path(parent, name) for name in folders if Path(parent, name).is_symlink()]
        skipped.extend(Skipped(shown(link), _link_reason(link, inside) or _LINK_FOLDER) for link in links)
        inner += [shown(Path(parent, name)) for name in folders if not Path(parent, name).is_symlink()]
        for name in sorted(names):
            path = Path(parent, name)
            reason = _link_reason(path, inside) if path.is_symlink() else None
            if reason is None and not path.is_file():
                reason = "it is not a regular file"
            if reason is None:
                files.append((shown(path), path))
            else:
                skipped.append(Skipped(shown(path), reason))
        if len(files) > limits.max_entries:
            raise TooManyEntries(
                f"The folder has more than {limits.max_entries} files. Check that it is the right folder."
            )
    return files, inner, skipped


def _link_reason(link: Path, inside: Path) -> str | None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return _LINK_BROKEN
    return None if target.is_relative_to(inside) else _LINK_OUT


def read_file(paths: list[Path], max_bytes: int, index: int) -> bytes:
    """Return the bytes of one of the files.

    Args:
        paths: The files.
        max_bytes: Maximum size of a file.
        index: Index of the file.

    Raises:
        FileUnusableError: If the file cannot be read or is too large.
    """
    try:
        with paths[index].open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise FileUnusableError("the file cannot be read") from error
    if len(data) > max_bytes:
        raise FileUnusableError(f"the file is larger than {max_bytes / MIB:g} MiB")
    return data
