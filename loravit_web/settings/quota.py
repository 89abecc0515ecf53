"""Quota of the data folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from loravit_web.errors import LoraVitError

MIB, GIB = 1024**2, 1024**3


class QuotaReached(LoraVitError):
    """A data folder that is full."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A folder and the maximum size of its files.

    Attributes:
        folder: The folder.
        max_bytes: Maximum size in bytes.
    """

    folder: Path
    max_bytes: int

    def free_bytes(self) -> int:
        """Return the number of free bytes.

        Raises:
            QuotaReached: If there are none.
        """
        left = self.max_bytes - used(self.folder)
        if left <= 0:
            raise self.error()
        return left

    def error(self) -> QuotaReached:
        """Return the error for a full data folder."""
        return QuotaReached(
            f"The data folder reached its limit of {self.max_bytes / GIB:.3g} GiB. Ask the operator of this "
            "app to free some space or to raise LORAVIT_MAX_DISK_GIB."
        )


def used(*folders: Path) -> int:
    """Return the size in bytes of all files in folders; hard links count once, and links are not followed."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for parent, _folders, names in (step for folder in folders for step in os.walk(folder)):
        for name in names:
            try:
                found = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - pathlib is twice as slow
            except FileNotFoundError:  # just removed
                continue
            if found.st_nlink > 1:
                if (found.st_dev, found.st_ino) in seen:
                    continue
                seen.add((found.st_dev, found.st_ino))
            total += found.st_size
    return total
