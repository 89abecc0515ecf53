"""Checks of the stored files: missing, damaged and unreferenced ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from loravit_web.doctor.machine import NEEDED_BYTES
from loravit_web.doctor.report import Check, Context, Finding, counted
from registry import BrokenFile

IN_PROGRESS = timedelta(hours=1)
"""Minimum age of an unreferenced file: a newer one may belong to a publication in progress."""
MAX_SHOWN = 50
"""Maximum number of broken files that are reported one by one."""


def find_broken(context: Context) -> Iterator[Finding]:
    """Find missing and damaged files, and the versions and bases that they belong to."""
    broken = list(context.registry.maintenance.broken())
    for file in broken[:MAX_SHOWN]:
        yield Finding("problem", _owners(file) or "artifacts", f"{file.reason} {_remedy(file)}")
    if len(broken) > MAX_SHOWN:
        text = (
            f"{len(broken)} files are missing or damaged, and the first {MAX_SHOWN} are listed. Check that "
            "the disk is mounted."
        )
        yield Finding("problem", "artifacts", text)
    if not broken:
        yield Finding("ok", "artifacts", _summary(context))
    folder = context.registry.blobs.folder
    if folder is not None and folder.stat().st_dev != context.settings.home.stat().st_dev:
        yield from _disk(folder)


def _owners(file: BrokenFile) -> str:
    return ", ".join([*file.versions, *(f"base {name}" for name in file.bases)])


def _remedy(file: BrokenFile) -> str:
    if file.bases:
        return f"Or add the base again with loravit bases add {file.bases[0]}."
    return "Or import its bundle again if you have it."


def _disk(folder: Path) -> Iterator[Finding]:
    """Check the disk of a store that is not on the disk of the data folder."""
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        yield Finding("problem", "artifacts", f"{free / 1e9:.1f} GB free in {folder}. Free some space.")
    else:
        yield Finding("ok", "artifacts", f"{free / 1e9:.1f} GB free in {folder}")


def _summary(context: Context) -> str:
    blobs = context.registry.blobs
    files = [file for file in blobs.list() if file.sha256 is not None]
    adapters = context.registry.catalog.adapters(include_archived=True)
    return (
        f"{counted(len(adapters), 'adapter')}, {counted(len(files), 'file')} "
        f"({_size(sum(file.size for file in files))}) in {blobs.root}, all published files verified"
    )


def mend_broken(context: Context) -> Iterator[str]:
    """Store broken files again from the local cache."""
    maintenance = context.registry.maintenance
    for file in list(maintenance.broken()):
        if maintenance.repair(file.sha256):
            yield f"stored {file.sha256} of {_owners(file)} again from the local cache"


def find_leftovers(context: Context) -> Iterator[Finding]:
    """Find files of unfinished publications."""
    files = context.registry.maintenance.unreferenced(IN_PROGRESS)
    if files:
        size = _size(sum(file.size for file in files))
        text = f"{counted(len(files), 'file')} ({size}) of unfinished publications"
        yield Finding("problem", "leftover files", f"{text}. Remove them with doctor --mend.")
    else:
        yield Finding("ok", "leftover files", "none")


def mend_leftovers(context: Context) -> Iterator[str]:
    """Remove files of unfinished publications, except those that are used by now."""
    maintenance = context.registry.maintenance
    removed = [
        file for file in maintenance.unreferenced(IN_PROGRESS) if maintenance.remove(file, IN_PROGRESS)
    ]
    size = _size(sum(file.size for file in removed))
    yield f"removed {counted(len(removed), 'file')} ({size}) of unfinished publications"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


STORED = Check("artifacts", find_broken, mend_broken)
LEFTOVERS = Check("leftover files", find_leftovers, mend_leftovers)
