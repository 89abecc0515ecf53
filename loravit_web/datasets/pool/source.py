"""Images without labels as a source: files, folders, zips and tars, whatever their folders are called."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from loravit_web.datasets.errors import CardIncomplete, DataNotFound
from loravit_web.datasets.layout.files import SNIFFED_BYTES, needs_content, skip_reason
from loravit_web.datasets.layout.plan import Placement, Plan
from loravit_web.datasets.pool.record import PoolImage
from loravit_web.datasets.records import Skipped
from loravit_web.datasets.sources.archives import (
    DEFAULT_LIMITS,
    Archive,
    ArchiveLimits,
    open_archive,
    too_many,
)
from loravit_web.datasets.sources.opening import Source, name_of, read_file, walk
from loravit_web.datasets.sources.scan import clean_class_name
from loravit_web.datasets.sources.tars import TAR_SUFFIXES, open_tar
from loravit_web.images.formats import sniffed

_File = tuple[str, Callable[[], bytes], Callable[[], bytes]]
"""Path to show, function that returns the first bytes, and function that returns all of them."""


@contextmanager
def open_images(paths: Sequence[Path], limits: ArchiveLimits = DEFAULT_LIMITS) -> Iterator[Source]:
    """Open images without labels; everything in the files and folders that is an image is a candidate.

    Args:
        paths: Images, folders, zips and tars.
        limits: Limits of the import.

    Raises:
        DataNotFound: If a path does not exist.
        ArchiveError: If an archive is rejected.
    """
    files: list[_File] = []
    skipped: list[Skipped] = []
    with ExitStack() as stack:
        for path in paths:
            found, left_out = _opened(path, limits, stack)
            files += found
            skipped += left_out
            if len(files) > limits.max_entries:
                raise too_many(len(files), limits)
        placements: list[Placement] = []
        reads: list[Callable[[], bytes]] = []
        for shown, beginning, read in files:
            label = sniffed(beginning()) if needs_content(shown) else None
            reason = skip_reason(shown, label)
            if reason is not None:
                skipped.append(Skipped(shown, reason))
            else:
                placements.append(Placement(len(reads), shown, "train", ()))
                reads.append(read)
        name = name_of(paths[0]) if len(paths) == 1 else "Images"
        yield Source(name, "folder", Plan(tuple(placements), tuple(skipped)), lambda index: reads[index]())


def labeled_as(source: Source, class_name: str) -> Source:
    """Return a source of images without labels as training images of one class.

    Args:
        source: Source of the images.
        class_name: Name of the class.

    Raises:
        CardIncomplete: If the name is empty.
        ClassNameTooLong: If the name is too long.
    """
    name = clean_class_name(class_name)
    if not name:
        raise CardIncomplete("The images have no class. Choose one, or type the name of a new one.")
    placements = tuple(replace(place, class_names=(name,)) for place in source.plan.placements)
    return replace(source, plan=replace(source.plan, placements=placements))


def confirmed_source(task: str, confirmed: Sequence[tuple[PoolImage, Path]]) -> Source:
    """Return images of a pool whose label a person confirmed as a source of training images.

    Args:
        task: Slug of the task.
        confirmed: The images with their files.
    """
    placements = tuple(
        Placement(index, image.path, "train", (image.label,))
        for index, (image, _file) in enumerate(confirmed)
        if image.label is not None
    )
    return Source(task, "folder", Plan(placements, ()), lambda index: confirmed[index][1].read_bytes())


def _opened(path: Path, limits: ArchiveLimits, stack: ExitStack) -> tuple[list[_File], list[Skipped]]:
    if path.is_dir():
        inside, _folders, skipped = walk(path, limits)
        return [_on_disk(shown, file, limits) for shown, file in inside], skipped
    if not path.is_file():
        raise DataNotFound(f"There is no folder or file “{path.name}”. Use images, a folder or a zip.")
    archive: Archive
    if path.name.lower().endswith(TAR_SUFFIXES):
        archive = stack.enter_context(open_tar(path, limits))
    elif path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        archive = stack.enter_context(open_archive(path, limits))
    else:
        return [_on_disk(path.name, path, limits)], []
    return [
        (inner, partial(archive.beginning, inner, SNIFFED_BYTES), partial(archive.read, inner))
        for inner in archive.paths
    ], []


def _on_disk(shown: str, file: Path, limits: ArchiveLimits) -> _File:
    return shown, partial(_beginning, file), partial(read_file, [file], limits.max_file_bytes, 0)


def _beginning(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(SNIFFED_BYTES)
