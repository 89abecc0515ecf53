"""Disk operations of the dataset store."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from loravit_web.datasets.errors import DiskFull, StoreUnwritable

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV, errno.ENOSYS})


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file at a second place, or copy it if the file system does not support links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)


def copy(source: Path, target: Path) -> None:
    """Copy a file to a new place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def storing_failed(error: OSError) -> DiskFull | StoreUnwritable:
    """Return the error for a failed write."""
    if error.errno in _NO_SPACE:
        return DiskFull("The disk is full, so the images were not imported. Free some space and try again.")
    reason = os.strerror(error.errno).lower() if error.errno else "unknown reason"
    return StoreUnwritable(
        f"The data folder cannot be written ({reason}), so nothing was imported. Check its permissions."
    )


def deleting_failed(error: OSError) -> StoreUnwritable:
    """Return the error for a failed deletion."""
    reason = os.strerror(error.errno).lower() if error.errno else "unknown reason"
    return StoreUnwritable(
        f"The data folder cannot be changed ({reason}), so the images were not deleted. Check its "
        "permissions."
    )


def last_write(temp: Path) -> float:
    """Return the time of the last write to an import; the folders' times are enough."""
    try:
        return max(folder.stat().st_mtime for folder in (temp, *temp.glob("images"), *temp.glob("images/*")))
    except FileNotFoundError:
        # Its own process has just renamed or removed it, so it is in use.
        return float("inf")


def sync_folder(folder: Path) -> None:
    """Flush a rename to disk if the system allows it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
