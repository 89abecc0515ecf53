"""Placing of a complete import in the store, where the same images may be already."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.datasets.records import ImageDataset
from loravit_web.datasets.stored.disk import link_or_copy, sync_folder
from loravit_web.datasets.stored.imports import (
    APP_IMPORTS,
    IMPORTS,
    ImportRecord,
    named,
    read_import,
    record_of,
    write_import,
)
from loravit_web.datasets.stored.manifest import MANIFEST, read_complete, write_manifest
from loravit_web.datasets.stored.uploaders import Uploader, renew_upload, write_uploader

_ALREADY_THERE = frozenset({errno.ENOTEMPTY, errno.EEXIST})


def move_into_place(
    dataset: ImageDataset,
    temp: Path,
    record: ImportRecord,
    uploader: Uploader | None,
    on_stored: Callable[[int], None],
) -> ImageDataset:
    """Move an import to the folder of its fingerprint, beside its own, and return the stored dataset.

    If the same images are already there, only the names of the import are added, unless an image is missing,
    and what becomes white in them, if an earlier version of the app imported them.

    Args:
        dataset: The import.
        temp: Folder with its images.
        record: Names of the import.
        uploader: Visitor who owns the images, or None for the app.
        on_stored: Called with the bytes that are stored besides the images; may raise an error.

    Raises:
        OSError: If a file cannot be written.
    """
    final = temp.parent / dataset.fingerprint
    write_manifest(dataset, temp)
    size = (temp / MANIFEST).stat().st_size + write_import(temp, record)
    if uploader is not None:
        write_uploader(temp, uploader)
    on_stored(size)
    try:
        temp.rename(final)
    except OSError as error:
        if error.errno not in _ALREADY_THERE:
            raise
        try:
            return _import_again(dataset, final, record, uploader)
        except DatasetDamaged:
            _replace_damaged(final, temp)
    sync_folder(final.parent)
    return replace(dataset, root=final)


def _import_again(
    dataset: ImageDataset, final: Path, record: ImportRecord, uploader: Uploader | None
) -> ImageDataset:
    known = read_complete(final, dataset.fingerprint)
    if known.whites is None and dataset.whites is not None:
        known = replace(known, whites=dataset.whites)
        write_manifest(known, final)
    own = read_import(final, record.importer)
    if own is not None and record.revision is None:  # the images of a revision, imported from an export
        record = replace(record, revision=own.revision)
    if not (final / IMPORTS).exists():  # stored before importers were recorded
        write_import(final, record_of(known, APP_IMPORTS, record.imported_at))
    write_import(final, record)
    if uploader is not None:
        renew_upload(final, uploader)
    return named(known, record)


def _replace_damaged(final: Path, temp: Path) -> None:
    """Replace a damaged dataset, and keep the names of other people's imports."""
    for other in (final / IMPORTS).glob("*.json"):
        if not (temp / IMPORTS / other.name).exists():
            link_or_copy(other, temp / IMPORTS / other.name)
    damaged = temp.with_name(f"{temp.name}-damaged")
    final.rename(damaged)
    temp.rename(final)
    shutil.rmtree(damaged, ignore_errors=True)
