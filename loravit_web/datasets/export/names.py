"""Names of files and folders in an exported zip: unique, and valid on every system."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence

from loravit_web.datasets.records import ImageItem
from loravit_web.images.formats import IMAGE_SUFFIXES

MAX_NAME_BYTES = 120
"""Maximum length of the stem of a file's name in bytes of UTF-8."""
_INVALID = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def is_folder_name(name: str) -> bool:
    """Return whether a folder can have this name on Linux, macOS and Windows."""
    return (
        not _INVALID.search(name)
        and not _RESERVED.fullmatch(name)
        and name == name.strip(". ")
        and 0 < len(name.encode()) <= 255
    )


def file_stem(path: str) -> str:
    """Return the stem of a file's name with every sign replaced that a system refuses; may be empty."""
    stem = posixpath.splitext(path.rpartition("/")[2])[0]
    plain = _INVALID.sub("_", stem.replace("\ufffd", "_"))
    short = plain.encode("utf-8", "replace")[:MAX_NAME_BYTES].decode("utf-8", "ignore").strip(". ")
    return f"_{short}" if _RESERVED.fullmatch(short) else short


def paths_of(
    items: Sequence[ImageItem], folder_of: Callable[[ImageItem], str], *, numbered: bool = False
) -> list[str]:
    """Return the path in the zip of each image; no two in a folder have the same stem, whatever their case.

    Args:
        items: The images.
        folder_of: Returns the folder of an image, with a slash at the end; empty for none.
        numbered: Whether images are numbered instead of keeping their names.
    """
    taken: set[str] = set()
    paths = []
    for number, item in enumerate(items, start=1):
        folder = folder_of(item)
        wanted = "" if numbered else file_stem(item.path)
        stem, again = wanted or f"{number:06}", 1
        while f"{folder}{stem}".casefold() in taken:
            again += 1
            stem = f"{wanted}-{again}" if wanted else f"{number:06}-{again}"
        taken.add(f"{folder}{stem}".casefold())
        # a file with another suffix is read by its content
        paths.append(f"{folder}{stem}{item.suffix if item.suffix in IMAGE_SUFFIXES else ''}")
    return paths
