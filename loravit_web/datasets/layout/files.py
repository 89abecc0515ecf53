"""Which files are candidates, judged by their path: system files, hidden files, and formats by suffix."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from loravit_web.images.formats import (
    FOREIGN_SUFFIXES,
    IMAGE_SUFFIXES,
    RAW_SUFFIXES,
    READABLE,
    SUPPORTED,
    foreign_reason,
    sniffed,
)

_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"})
SNIFFED_BYTES = 256
"""Number of bytes of a file that show its format."""
_MACOS = "it is a macOS system file"
_WINDOWS = "it is a Windows system file"
_NAS = "it is a thumbnail that a storage or a program made"
_BIN = "it is in a recycle bin"
_SYSTEM = "it is in a system folder"
_SYSTEM_FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "__macosx": _MACOS,
        "@eadir": _NAS,
        "@__thumb": _NAS,
        "@tmp": _SYSTEM,
        "@sharebin": _BIN,
        "@recycle": _BIN,
        "@recently-snapshot": "it is in a snapshot",
        "#recycle": _BIN,
        "#snapshot": "it is in a snapshot",
        "~snapshot": "it is in a snapshot",
        "$recycle.bin": _BIN,
        "recycle.bin": _BIN,
        "files_trashbin": _BIN,
        "ipod photo cache": _NAS,
        "system volume information": _SYSTEM,
        "lost+found": _SYSTEM,
        "network trash folder": _BIN,
        "temporary items": _SYSTEM,
        "__pycache__": _SYSTEM,
        "node_modules": _SYSTEM,
    }
)
"""Reason by the lower-case name of a folder whose content is never a sample."""
_THUMBNAIL_FILE = re.compile(r"SYNO(PHOTO|FILE|VIDEO)_THUMB_.*|.*@SynoEAStream|.*@SynoResource")
_OF_WINDOWS_USER = re.compile(r"S-1-5-\d+.*", re.IGNORECASE)
"""Folder of a user in a recycle bin."""
_PACKAGES = (".lrdata", ".photoslibrary", ".aplibrary", ".photolibrary", ".lrlibrary")
"""Endings of folders in which programs keep previews and copies."""
ARCHIVE_SUFFIXES = frozenset(
    {".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar"}
)
"""Suffixes of archives, of which zip, tar and tar.gz are read, but not inside others."""
_LOST_CLUSTERS = re.compile(r"found\.\d{3}")

_NOT_SNIFFED = frozenset(
    [
        ".txt",
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".xml",
        ".yaml",
        ".yml",
        ".md",
        ".rst",
        ".html",
        ".htm",
        ".py",
        ".ipynb",
        ".m",
        ".mat",
        ".npy",
        ".npz",
        ".pt",
        ".pth",
        ".h5",
        ".pkl",
        ".zip",
        ".tar",
        ".gz",
        ".tgz",
        ".rar",
        ".7z",
        ".db",
        ".ini",
        ".cfg",
        ".log",
        ".doc",
        ".docx",
        ".xls",
        ".xlsx",
        ".ppt",
        ".pptx",
        ".pdf",
        ".bak",
        ".old",
        ".tmp",
        ".part",
        ".partial",
        ".crdownload",
        ".download",
        ".xmp",
        ".aae",
        ".thm",
        ".lnk",
        ".url",
        ".exe",
        ".dll",
        ".so",
        ".sh",
        ".bat",
        ".js",
        ".css",
        ".parquet",
        ".mp4",
        ".mov",
        ".avi",
        ".mkv",
        ".mp3",
        ".wav",
        ".names",
        ".cache",
        ".db-wal",
        ".sqlite",
        ".ds_store",
    ]
)
"""Suffixes of files that are no images, whatever they contain."""


def system_reason(path: str) -> str | None:
    """Return why a file belongs to a system and not to the data, or None."""
    folder, _, name = path.rpartition("/")
    reason = _folder_reason(folder)
    if reason is not None:
        return reason
    if name.startswith("."):
        return "it is hidden"
    if name.lower() in _SYSTEM_FILES:
        return _WINDOWS
    if name == "Icon\r":
        return _MACOS
    return _NAS if _THUMBNAIL_FILE.fullmatch(name) else None


@lru_cache(maxsize=4096)
def _folder_reason(folder: str) -> str | None:
    for part in folder.split("/"):
        name = part.lower()
        if name in _SYSTEM_FOLDERS:
            return _SYSTEM_FOLDERS[name]
        if _LOST_CLUSTERS.fullmatch(name):
            return _SYSTEM
        if _OF_WINDOWS_USER.fullmatch(name):
            return _BIN
        if name.endswith(_PACKAGES):
            return _NAS
        if name.startswith("."):
            return "it is hidden"
    return None


def skip_reason(path: str, label: str | None = None) -> str | None:
    """Return why a file is not a candidate, or None if it is one.

    Args:
        path: Relative path of the file.
        label: Format that its first bytes show, if its suffix is not that of a supported format; see
            `needs_content`.
    """
    reason = system_reason(path)
    suffix = suffix_of(path)
    is_image = (label in READABLE and suffix not in RAW_SUFFIXES) or suffix in IMAGE_SUFFIXES
    if reason is not None or is_image:
        return reason
    if suffix in ARCHIVE_SUFFIXES:
        return "it is an archive inside the data, not an image. Unpack it, and use its folders"
    foreign = (None if suffix in RAW_SUFFIXES else label) or FOREIGN_SUFFIXES.get(suffix)
    return (
        foreign_reason(foreign)
        if foreign
        else f"it is not an image that the app can read; {SUPPORTED} are supported"
    )


def needs_content(path: str) -> bool:
    """Return whether only the first bytes of a file can tell if it is an image that can be read."""
    suffix = suffix_of(path)
    return suffix not in IMAGE_SUFFIXES and suffix not in _NOT_SNIFFED and system_reason(path) is None


def is_wanted(path: str, beginning: Callable[[], bytes]) -> bool:
    """Return whether someone who gives a folder or a zip of images expects an answer for a file.

    An image that cannot be read is wanted too, so that its error is shown. Texts and system files are not.

    Args:
        path: Relative path of the file.
        beginning: Returns its first bytes.
    """
    if system_reason(path) is not None:
        return False
    suffix = suffix_of(path)
    known = suffix in IMAGE_SUFFIXES or suffix in FOREIGN_SUFFIXES
    return known or (suffix not in _NOT_SNIFFED and sniffed(beginning()) is not None)


def suffix_of(path: str) -> str:
    """Return the lower-case suffix of a relative path with its dot."""
    return posixpath.splitext(path)[1].lower()
