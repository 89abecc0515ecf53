"""The visitor who uploaded a dataset, stored in a file beside its images."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

UPLOADER_FILE = "giver.json"
"""Name of the file."""


@dataclass(frozen=True, slots=True)
class Uploader:
    """A visitor who uploaded images.

    Attributes:
        name: Name under which the visitor trains.
        source: Key by which limits are counted; it stays the same if a visitor changes the name.
        uploads: Paths of the uploaded files with the images.
    """

    name: str
    source: str
    uploads: tuple[str, ...] = ()

    def is_same(self, other: Uploader | None) -> bool:
        """Return whether another uploader shares the limits of this one."""
        return other is not None and (self.name == other.name or self.source == other.source)


UNREADABLE = Uploader("", "")
"""Uploader of a dataset whose file cannot be read.

Such a dataset is hidden, and deleted like any visitor's.
"""


def write_uploader(folder: Path, uploader: Uploader) -> None:
    """Write the uploader of a dataset to its folder atomically.

    Raises:
        OSError: If the file cannot be written.
    """
    temporary = folder / f".{UPLOADER_FILE}.{uuid4().hex}.tmp"
    with temporary.open("xb") as stream:
        stream.write(json.dumps(asdict(uploader)).encode("ascii"))
        stream.flush()
        os.fsync(stream.fileno())  # without this file the dataset would belong to the app
    temporary.replace(folder / UPLOADER_FILE)


def read_uploader(folder: Path) -> Uploader | None:
    """Return the uploader of the dataset in a folder, or None if it belongs to the app."""
    try:
        document: dict[str, Any] = json.loads((folder / UPLOADER_FILE).read_text(encoding="ascii"))
        return Uploader(str(document["name"]), str(document["source"]), _texts(document["uploads"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return UNREADABLE


def renew_upload(folder: Path, uploader: Uploader) -> None:
    """Record that the same visitor uploaded the same images again.

    Raises:
        OSError: If the file cannot be written.
    """
    before = read_uploader(folder) or uploader
    uploads = tuple(dict.fromkeys([*before.uploads, *uploader.uploads]))
    write_uploader(folder, Uploader(uploader.name, uploader.source, uploads))


def uploaded_at(folder: Path) -> float:
    """Return the time of the last upload of a dataset in seconds since the epoch, or 0 if it was removed."""
    try:
        return (folder / UPLOADER_FILE).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
