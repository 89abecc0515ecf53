"""Images with their classes, as an annotation file names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath
from urllib.parse import parse_qs, unquote, urlsplit

from loravit_web.datasets.records import Split
from loravit_web.util.labels import Labels


@dataclass(frozen=True, slots=True)
class Entry:
    """An image and its labels.

    Attributes:
        path: Path or address of the image, as written.
        names: Names of its classes, as written.
        split: Its split, or None if the file does not tell.
    """

    path: str
    names: tuple[str, ...]
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """What an annotation file says.

    Attributes:
        entries: Its images.
        labels: How many labels an image can have.
        notes: What was taken for what, as sentences.
        has_splits: Whether the file tells the splits.
    """

    entries: Sequence[Entry]
    labels: Labels
    notes: tuple[str, ...] = ()
    has_splits: bool = False


def path_in(written: str) -> str:
    """Return the relative path of an image, without anything that leads out of the data; may be empty.

    Programs write absolute paths, paths beside the file, and addresses of their own server. Of these only the
    folders and the name can be those of an image in the data.

    Args:
        written: Path or address of the image.
    """
    text = written.strip()
    if "://" in text or text.startswith("/data/local-files/"):
        address = urlsplit(text)
        local = parse_qs(address.query).get("d", [])
        text = local[0] if local else unquote(address.path)
    drive = PureWindowsPath(text).drive
    parts = text.removeprefix(drive).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..") and "\0" not in part)
