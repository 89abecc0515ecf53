"""How much the data folder may hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from loravit_web.errors import LoraVitError

MIB, GIB = 1024**2, 1024**3


class QuotaReached(LoraVitError):
    """The data folder holds all that it may."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A folder and the most that its files may take together, in bytes."""

    folder: Path
    most: int

    def room(self) -> int:
        """Bytes that are left.

        Raises:
            QuotaReached: if there are none.
        """
        left = self.most - used(self.folder)
        if left <= 0:
            raise self.reached()
        return left

    def reached(self) -> QuotaReached:
        """The error that says so."""
        return QuotaReached(
            f"The data folder would hold more than the {self.most / GIB:.3g} GiB it may: ask whoever runs "
            "this app to free some or to raise LORAVIT_MAX_DISK_GIB."
        )


def used(*folders: Path) -> int:
    """Bytes of all files below folders; a file with several names counts once, links are not followed."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for parent, _folders, names in (step for folder in folders for step in os.walk(folder)):
        for name in names:
            try:
                found = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - a Path for each is twice as slow
            except FileNotFoundError:  # just removed
                continue
            if found.st_nlink > 1:
                if (found.st_dev, found.st_ino) in seen:
                    continue
                seen.add((found.st_dev, found.st_ino))
            total += found.st_size
    return total
