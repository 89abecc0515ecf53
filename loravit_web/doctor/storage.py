"""The stored files: whether each is there and whole, and what belongs to none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from loravit_web.doctor.machine import NEEDED_BYTES
from loravit_web.doctor.report import Check, Finding, Patient
from registry import BrokenFile

IN_PROGRESS = timedelta(hours=1)
"""A file without a version that was written since may belong to a publication in progress."""
MOST_SHOWN = 50


def find_broken(patient: Patient) -> Iterator[Finding]:
    """Every missing or damaged file with the versions and bases that it belongs to."""
    broken = list(patient.registry.maintenance.broken())
    for file in broken[:MOST_SHOWN]:
        yield Finding("problem", _owners(file) or "artifacts", f"{file.reason} {_remedy(file)}")
    if len(broken) > MOST_SHOWN:
        text = (
            f"{len(broken)} files are missing or damaged, of which {MOST_SHOWN} are named: is the disk there?"
        )
        yield Finding("problem", "artifacts", text)
    if not broken:
        yield Finding("ok", "artifacts", _summary(patient))
    folder = patient.registry.blobs.folder
    if folder is not None and folder.stat().st_dev != patient.settings.home.stat().st_dev:
        yield from _disk(folder)


def _owners(file: BrokenFile) -> str:
    return ", ".join([*file.versions, *(f"base {name}" for name in file.bases)])


def _remedy(file: BrokenFile) -> str:
    if file.bases:
        return f"Or add the base again with loravit bases add {file.bases[0]}."
    return "Or import its bundle again, where there is one."


def _disk(folder: Path) -> Iterator[Finding]:
    """Of a store that has one of its own."""
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        yield Finding("problem", "artifacts", f"{free / 1e9:.1f} GB free in {folder}: free some space")
    else:
        yield Finding("ok", "artifacts", f"{free / 1e9:.1f} GB free in {folder}")


def _summary(patient: Patient) -> str:
    blobs = patient.registry.blobs
    files = [file for file in blobs.list() if file.sha256 is not None]
    adapters = patient.registry.catalog.adapters(include_archived=True)
    return (
        f"{len(adapters)} adapters, {len(files)} files ({_size(sum(file.size for file in files))}) in "
        f"{blobs.root}, every published one verified"
    )


def mend_broken(patient: Patient) -> Iterator[str]:
    """Store anew what this machine has read and kept."""
    maintenance = patient.registry.maintenance
    for file in list(maintenance.broken()):
        if maintenance.repair(file.sha256):
            yield f"stored {file.sha256} of {_owners(file)} again from this machine's copy"


def find_leftovers(patient: Patient) -> Iterator[Finding]:
    """What publications that were killed have left."""
    files = patient.registry.maintenance.unreferenced(IN_PROGRESS)
    if files:
        size = _size(sum(file.size for file in files))
        text = f"{len(files)} files ({size}) belong to no version, left by publications that were cut off"
        yield Finding("problem", "leftover files", f"{text}: remove them with doctor --mend")
    else:
        yield Finding("ok", "leftover files", "none")


def mend_leftovers(patient: Patient) -> Iterator[str]:
    """Remove them, except what has come into use since."""
    maintenance = patient.registry.maintenance
    removed = [
        file for file in maintenance.unreferenced(IN_PROGRESS) if maintenance.remove(file, IN_PROGRESS)
    ]
    size = _size(sum(file.size for file in removed))
    yield f"removed {len(removed)} files ({size}) that belong to no version"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


STORED = Check("artifacts", find_broken, mend_broken)
LEFTOVERS = Check("leftover files", find_leftovers, mend_leftovers)
