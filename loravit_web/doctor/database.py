"""Checks of the database and its disk."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from loravit_web.doctor.report import Check, Context, Finding
from loravit_web.settings.environment import Settings
from registry import database_file

MOUNTS = Path("/proc/self/mountinfo")
PROCESSES = Path("/proc")
NETWORK_DISKS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
)
FIXED_IN = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""Releases of SQLite that fixed a race in WAL mode, by branch. Later branches contain the fix."""


def find(context: Context) -> Iterator[Finding]:
    """Check the database, its schema and its disk."""
    problems = context.registry.maintenance.database_problems()
    for problem in problems:
        text = f"damaged ({problem}). Restore the newest backup."
        yield Finding("problem", "database", text)
    file = database_file(context.settings.database_url)
    if not problems:
        state = "reached" if file is None else "sound"
        yield Finding("ok", "database", f"{context.registry.location}, {state}")
    if context.registry.upgrade is not None:
        yield Finding("note", "database", str(context.registry.upgrade))
    if file is not None:
        yield from _sqlite(file)


def find_lost(settings: Settings, processes: Path = PROCESSES) -> Iterator[Finding]:
    """Find a SQLite file that was deleted or replaced while a process had it open.

    Only processes of the same user can be checked.

    Args:
        settings: Settings of the app.
        processes: The folder ``/proc``.

    Yields:
        A problem for each process, and a note for each rescued copy.

    Raises:
        UnsupportedDatabase: If the address of the database is of another kind.
    """
    file = database_file(settings.database_url)
    if file is None:
        return
    for process in holders_of_deleted(file, processes):
        text = (
            f"{file} was deleted or replaced while process {process} had it open, so changes are no longer "
            "stored. Stop the app, put the file back or restore a backup, and start the app again."
        )
        yield Finding("problem", "database file", text)
    for copy in sorted(file.parent.glob(f"backups/{file.stem}-rescued-*.db")):
        text = (
            f"{copy} is the last state of a registry file that was lost while it was open. Stop the app and "
            "move the copy back to its place, or remove it."
        )
        yield Finding("note", "database file", text)


def holders_of_deleted(file: Path, processes: Path) -> list[str]:
    """Return the ids of processes that have a deleted database, or its write-ahead log, open.

    Args:
        file: Path of the database.
        processes: The folder ``/proc``.
    """
    lost = {f"{file.resolve()}{suffix} (deleted)" for suffix in ("", "-wal")}
    links = (link for folder in processes.glob("[0-9]*") for link in _opened(folder))
    return sorted({link.parts[-3] for link in links if _target(link) in lost}, key=int)


def _opened(process: Path) -> list[Path]:
    """Return the open files of a process; none if it belongs to another user or has just ended."""
    try:
        return list((process / "fd").iterdir())
    except OSError:
        return []


def _target(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError:  # just closed
        return None


def _sqlite(file: Path) -> Iterator[Finding]:
    disk = disk_type(file.resolve(), MOUNTS.read_text(errors="replace")) if MOUNTS.exists() else None
    if disk in NETWORK_DISKS:
        text = (
            f"{file} is on a network disk ({disk}), where SQLite may lose or damage data. Set LORAVIT_HOME "
            "to a local folder."
        )
        yield Finding("problem", "database disk", text)
    elif disk is not None and disk.startswith("fuse."):
        text = f"{file} is on {disk}. Move LORAVIT_HOME to a local disk unless this one supports file locks."
        yield Finding("note", "database disk", text)
    if not has_wal_fix(sqlite3.sqlite_version_info):
        text = (
            f"SQLite {sqlite3.sqlite_version} has a very rare bug that can damage a database when two "
            "processes write at the same time, unless the distributor patched it. Update to 3.51.3, 3.50.7 "
            "or 3.44.6, and keep backups."
        )
        yield Finding("note", "sqlite", text)


def has_wal_fix(version: tuple[int, ...]) -> bool:
    """Return whether a release of SQLite fixed the race between a reset of the log and a checkpoint."""
    return version >= FIXED_IN[-1] or any(version[:2] == fixed[:2] and version >= fixed for fixed in FIXED_IN)


def disk_type(file: Path, mounts: str) -> str | None:
    """Return the type of the file system of a file, or None if it is unknown.

    Args:
        file: Absolute path without links.
        mounts: Contents of ``/proc/self/mountinfo``.
    """
    best: tuple[int, str] | None = None
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]))
        # of two mounts on the same folder the later one is visible
        if file.is_relative_to(place) and (best is None or len(place.parts) >= best[0]):
            best = (len(place.parts), after.split()[0])
    return best[1] if best is not None else None


DATABASE = Check("database", find)
