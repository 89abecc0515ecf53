"""Which visitor gave a stored dataset, where it belongs to that visitor alone; a file beside its images."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

GIVER = "giver.json"


@dataclass(frozen=True, slots=True)
class Giver:
    """A visitor who gave images.

    Attributes:
        name: under which the visitor trains.
        source: what limits are counted by, which stays when a visitor takes another name.
        uploads: paths of the uploaded files that the images came in.
    """

    name: str
    source: str
    uploads: tuple[str, ...] = ()

    def is_same(self, other: Giver | None) -> bool:
        """Whether the limits of the other one are this one's too."""
        return other is not None and (self.name == other.name or self.source == other.source)


UNREADABLE = Giver("", "")
"""Stands for a visitor whose name is lost: nobody sees such a dataset, and it goes like any visitor's."""


def write_giver(folder: Path, giver: Giver) -> None:
    """Record who gave the dataset in a folder, whole or not at all.

    Raises:
        OSError: if it can't be written.
    """
    temporary = folder / f".{GIVER}.{uuid4().hex}.tmp"
    with temporary.open("xb") as stream:
        stream.write(json.dumps(asdict(giver)).encode("ascii"))
        stream.flush()
        os.fsync(stream.fileno())  # without its owner a dataset could not be told from the app's own
    temporary.replace(folder / GIVER)


def read_giver(folder: Path) -> Giver | None:
    """Return who gave the dataset in a folder; None for one that belongs to the app."""
    try:
        document: dict[str, Any] = json.loads((folder / GIVER).read_text(encoding="ascii"))
        return Giver(str(document["name"]), str(document["source"]), _texts(document["uploads"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return UNREADABLE


def given_again(folder: Path, giver: Giver) -> None:
    """Record that the same visitor gave the same images once more, now.

    Raises:
        OSError: if it can't be written.
    """
    before = read_giver(folder) or giver
    uploads = tuple(dict.fromkeys([*before.uploads, *giver.uploads]))
    write_giver(folder, Giver(giver.name, giver.source, uploads))


def given_at(folder: Path) -> float:
    """Return when the images in a folder were given last, in seconds since the epoch; 0 when it is gone."""
    try:
        return (folder / GIVER).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
