"""Whether the database is sound, and lies where it can stay so."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from loravit_web.doctor.report import Check, Finding, Patient
from loravit_web.settings.environment import Settings

MOUNTS = Path("/proc/self/mountinfo")
PROCESSES = Path("/proc")
NETWORK_DISKS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
)
FIXED_IN = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""The releases of SQLite that ended a race in WAL mode, by branch; every later branch has it too."""


def find(patient: Patient) -> Iterator[Finding]:
    """What the database says of itself, and of its disk."""
    problems = patient.registry.maintenance.database_problems()
    for problem in problems:
        text = f"it is damaged ({problem}): restore the newest backup"
        yield Finding("problem", "database", text)
    scheme, _, file = patient.settings.database_url.partition(":///")
    if not problems:
        state = "sound" if scheme == "sqlite" else "reached"
        yield Finding("ok", "database", f"{patient.registry.location}, {state}")
    if patient.registry.upgrade is not None:
        yield Finding("note", "database", str(patient.registry.upgrade))
    if scheme == "sqlite":
        yield from _sqlite(Path(file))


def find_lost(settings: Settings, processes: Path = PROCESSES) -> Iterator[Finding]:
    """A SQLite file that was deleted or replaced while a process had it open, as far as that can be seen."""
    scheme, _, name = settings.database_url.partition(":///")
    if scheme != "sqlite":
        return
    file = Path(name).absolute()
    for process in holders_of_deleted(file, processes):
        text = (
            f"{file} was deleted or replaced while process {process} had it open, which stores no change any "
            "more: stop the app, put the file back or restore a backup, and start the app again"
        )
        yield Finding("problem", "database file", text)
    for copy in sorted(file.parent.glob(f"backups/{file.stem}-rescued-*.db")):
        text = (
            f"{copy} is the last state of a registry file that was lost while it was open: put it in the "
            "place of the file while no app runs, or remove it"
        )
        yield Finding("note", "database file", text)


def holders_of_deleted(file: Path, processes: Path) -> list[str]:
    """Ids of the processes that have the database, or the log beside it, open after its path lost it."""
    lost = {f"{file.resolve()}{suffix} (deleted)" for suffix in ("", "-wal")}
    links = (link for folder in processes.glob("[0-9]*") for link in _opened(folder))
    return sorted({link.parts[-3] for link in links if _target(link) in lost}, key=int)


def _opened(process: Path) -> list[Path]:
    """The files that a process has open; none of another user's process, or of one that has just ended."""
    try:
        return list((process / "fd").iterdir())
    except OSError:
        return []


def _target(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError:  # it was closed a moment ago
        return None


def _sqlite(file: Path) -> Iterator[Finding]:
    disk = disk_type(file.resolve(), MOUNTS.read_text(errors="replace")) if MOUNTS.exists() else None
    if disk in NETWORK_DISKS:
        text = (
            f"{file} lies on a network disk ({disk}), where SQLite may lose or damage data: let LORAVIT_HOME "
            "name a local folder"
        )
        yield Finding("problem", "database disk", text)
    elif disk is not None and disk.startswith("fuse."):
        text = f"{file} lies on {disk}: unless that is a local disk with file locks, move LORAVIT_HOME to one"
        yield Finding("note", "database disk", text)
    if not has_wal_fix(sqlite3.sqlite_version_info):
        text = (
            f"SQLite {sqlite3.sqlite_version} has a very rare fault that can damage a database when two "
            "processes write at the same instant, unless its distributor has patched it: 3.51.3, 3.50.7 and "
            "3.44.6 are free of it, so update when a newer Python or system brings one, and keep backups"
        )
        yield Finding("note", "sqlite", text)


def has_wal_fix(version: tuple[int, ...]) -> bool:
    """Whether a release of SQLite is free of the race between resetting the log and a checkpoint."""
    return version >= FIXED_IN[-1] or any(version[:2] == fixed[:2] and version >= fixed for fixed in FIXED_IN)


def disk_type(file: Path, mounts: str) -> str | None:
    """The type of the file system that a file is on.

    Args:
        file: absolute, without links.
        mounts: Linux's own list of them.
    """
    best: tuple[int, str] | None = None
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]))
        # of two mounts on one folder the later one is seen
        if file.is_relative_to(place) and (best is None or len(place.parts) >= best[0]):
            best = (len(place.parts), after.split()[0])
    return best[1] if best is not None else None


DATABASE = Check("database", find)
