"""Opening of DATA (a folder, a zip, a CSV or sample:NAME) as candidate files with their bytes on demand."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from loravit_web.datasets.errors import DataNotFound, DataNotSupported, TooManyEntries, UnknownSample
from loravit_web.datasets.records import Skipped, SourceKind
from loravit_web.datasets.sources.archives import DEFAULT_LIMITS, MIB, ArchiveLimits, open_archive
from loravit_web.datasets.sources.csv_rows import read_table
from loravit_web.datasets.sources.samples import SAMPLES
from loravit_web.datasets.sources.scan import Placement, Plan, plan_layout, skip_reason

SAMPLE_PREFIX = "sample:"
"""Prefix of the name of a sample."""

_LINK_OUT = "it is a link to a file outside the folder"
_LINK_FOLDER = "it is a link to a folder, which is not followed"
_LINK_BROKEN = "it is a broken link"


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
def open_source(data: str | Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> Iterator[Source]:
    """Open DATA for one import.

    Args:
        data: A folder, a zip, a CSV, or ``sample:NAME``.
        limits: Limits of the import.

    Raises:
        DataNotFound: If it does not exist.
        DataNotSupported: If it is another kind of file.
        UnknownSample: If the sample does not exist.
        InvalidCsv: If the CSV is invalid.
        ArchiveError: If the zip is rejected.
        ClassNameTooLong: If a class name is too long.
    """
    text = str(data)
    if text.startswith(SAMPLE_PREFIX):
        yield _sample(text.removeprefix(SAMPLE_PREFIX))
        return
    path = Path(data).expanduser()
    kind = _kind_of(path)
    if kind == "zip":
        with open_archive(path, limits) as archive:
            paths = archive.paths
            yield Source(path.stem, "zip", plan_layout(paths), lambda index: archive.read(paths[index]))
    elif kind == "csv":
        yield _csv(path, limits)
    else:
        yield _folder(path, limits)


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
    if path.suffix.lower() == ".csv":
        return "csv"
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return "zip"
    raise DataNotSupported(f"“{path.name}” is not a folder, a zip or a CSV. Zip the class folders.")


def _sample(name: str) -> Source:
    sample = SAMPLES.get(name)
    if sample is None:
        raise UnknownSample(f"There is no sample “{name}”. Choose one of {', '.join(SAMPLES)}.")
    files = tuple(sample.generate())
    plan = plan_layout([path for path, _ in files])
    return Source(sample.title, "sample", plan, lambda index: files[index][1])


def _folder(root: Path, limits: ArchiveLimits) -> Source:
    files, skipped = _walk(root, limits)
    plan = plan_layout([shown for shown, _ in files])
    paths = [path for _, path in files]
    return Source(
        root.resolve().name,
        "folder",
        Plan(plan.placements, (*skipped, *plan.skipped)),
        partial(read_file, paths, limits.max_file_bytes),
    )


def _csv(path: Path, limits: ArchiveLimits) -> Source:
    files: list[Path] = []
    placements: list[Placement] = []
    skipped: list[Skipped] = []
    table = read_table(path, limits.max_entries)
    for row in table.rows:
        reason = skip_reason(row.path) or (None if row.file.is_file() else "the file does not exist")
        if reason:
            skipped.append(Skipped(row.path, reason))
        else:
            placements.append(Placement(len(files), row.path, row.split, row.class_names))
            files.append(row.file)
    return Source(
        path.stem,
        "csv",
        Plan(tuple(placements), tuple(skipped), table.labels, table.notes),
        partial(read_file, files, limits.max_file_bytes),
    )


def _walk(root: Path, limits: ArchiveLimits) -> tuple[list[tuple[str, Path]], list[Skipped]]:
    """Return the regular files below ``root`` as (path to show, path to open) in a stable order."""
    files: list[tuple[str, Path]] = []
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
    return files, skipped


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
