"""Reading a zip that a stranger made: entries are checked first, bytes are counted while they come.

Nothing is ever extracted by name; the caller gets relative paths to look at and bytes to store.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loravit_web.datasets.errors import (
    ArchiveLink,
    ArchiveTooLarge,
    DamagedArchive,
    DuplicateEntry,
    EncryptedArchive,
    TooManyEntries,
    UnsafeArchivePath,
)
from loravit_web.settings.limits import Limits
from loravit_web.util.zip_table import NoTable, TableTooLong, check_table

MIB = 1024 * 1024

_CHUNK = MIB
_ENCRYPTED = 0x1 | 0x40
_UTF8_NAME = 0x800
_LOCAL_HEADER = 30
"""Bytes in front of a file, beside its name."""
_SHOWN = 80
"""Characters of a path in a sentence."""

# Not LZMA: there a header of a few bytes decides how much memory the decoder takes.
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})

_DRIVE = re.compile(r"[A-Za-z]:")

# What zipfile and its decompressors raise on malformed input.
_READ_FAILURES = (
    zipfile.BadZipFile,
    NotImplementedError,
    OSError,
    EOFError,
    ValueError,
    struct.error,
    zlib.error,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much one import may hold. `max_ratio` counts only beyond `ratio_free_bytes` of output."""

    max_entries: int = 200_000
    max_total_bytes: int = 4 * 1024 * MIB
    max_file_bytes: int = 64 * MIB
    max_ratio: float = 200.0
    ratio_free_bytes: int = 8 * MIB


DEFAULT_LIMITS = ArchiveLimits()


def archive_limits(limits: Limits) -> ArchiveLimits:
    """What one import may hold where the app has these limits."""
    return ArchiveLimits(max_entries=limits.files, max_total_bytes=limits.unpacked_mib * MIB)


class SafeArchive:
    """The regular files of an open zip, by relative path with forward slashes, in sorted order."""

    def __init__(self, archive: zipfile.ZipFile, size: int, limits: ArchiveLimits) -> None:
        self._archive = archive
        self._size = size
        self._limits = limits
        self._entries = _checked_entries(archive.infolist(), limits)
        self._total = 0

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file in the archive, sorted."""
        return tuple(self._entries)

    def read(self, path: str) -> bytes:
        """The bytes of one file of `paths`; call from one thread at a time.

        Raises ArchiveTooLarge as soon as the bytes that really come exceed a limit, whatever the
        headers say, and DamagedArchive when they cannot be read.
        """
        info = self._entries[path]
        parts: list[bytes] = []
        count = 0
        try:
            with self._archive.open(info) as stream:
                while chunk := stream.read(_CHUNK):
                    count += len(chunk)
                    self._total += len(chunk)
                    self._check_amount(path, count, info.compress_size)
                    parts.append(chunk)
        except _READ_FAILURES as error:
            raise DamagedArchive(
                f"The archive is damaged at “{_shown(path)}” and cannot be read; pack or download it again."
            ) from error
        return b"".join(parts)

    def _check_amount(self, path: str, count: int, compressed: int) -> None:
        limits = self._limits
        if count > limits.max_file_bytes:
            raise ArchiveTooLarge(
                f"“{_shown(path)}” in the archive is over {limits.max_file_bytes / MIB:g} MiB; "
                "make it smaller."
            )
        if self._total > limits.max_total_bytes:
            raise ArchiveTooLarge(
                f"The archive holds over {limits.max_total_bytes / MIB:g} MiB; use fewer or smaller images."
            )
        if _inflated(count, compressed, limits) or _inflated(self._total, self._size, limits):
            raise ArchiveTooLarge(
                f"The archive grows more than {limits.max_ratio:g} times at “{_shown(path)}”, as no "
                "photographs do; pack the images again."
            )


@contextmanager
def open_archive(path: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> Iterator[SafeArchive]:
    """Open and check a zip; entries are counted before they are read, and read before a byte is unpacked.

    Raises DamagedArchive, UnsafeArchivePath, ArchiveLink, EncryptedArchive, TooManyEntries or
    DuplicateEntry.
    """
    try:
        with path.open("rb") as stream:
            check_table(stream, limits.max_entries)
        archive = zipfile.ZipFile(path)
    except TableTooLong as error:
        raise _too_many(error.entries, limits) from error
    except (*_READ_FAILURES, NoTable) as error:
        raise DamagedArchive(
            f"“{path.name}” is not a zip or is damaged; pack the folder again as a zip."
        ) from error
    with archive:
        yield SafeArchive(archive, path.stat().st_size, limits)


def _checked_entries(infos: list[zipfile.ZipInfo], limits: ArchiveLimits) -> dict[str, zipfile.ZipInfo]:
    if len(infos) > limits.max_entries:
        raise _too_many(len(infos), limits)
    _check_apart(infos)
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        path = _safe_path(_decoded_name(info))
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveLink(
                f"“{_shown(path)}” in the archive is a link, not a file; pack the images themselves."
            )
        if info.flag_bits & _ENCRYPTED:
            raise EncryptedArchive("The archive is protected by a password; pack it again without one.")
        if info.compress_type not in _COMPRESSIONS:
            raise DamagedArchive(
                f"“{_shown(path)}” is packed in an unusual way; pack the folder again as a plain zip."
            )
        if info.is_dir() or kind == stat.S_IFDIR or not path:
            continue
        if path in entries:
            raise DuplicateEntry(f"The archive holds “{_shown(path)}” twice; pack the folder again.")
        entries[path] = info
    return dict(sorted(entries.items()))


def _too_many(entries: int, limits: ArchiveLimits) -> TooManyEntries:
    if entries <= limits.max_entries:
        return TooManyEntries("The names in the archive are too long; give folders and images short names.")
    return TooManyEntries(
        f"The archive holds {entries} entries and {limits.max_entries} are allowed; use fewer images."
    )


def _check_apart(infos: list[zipfile.ZipInfo]) -> None:
    """
    Raises:
        DamagedArchive: if files share bytes, as a few of them then unpack to anything.
    """
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise DamagedArchive(
                "Files in the archive overlap, as in no ordinary zip; pack the folder again."
            )
        end = info.header_offset + _LOCAL_HEADER + info.compress_size


def _decoded_name(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    if info.flag_bits & _UTF8_NAME:
        return name
    try:
        # Many tools write UTF-8 without saying so, which zipfile then reads as cp437.
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _safe_path(name: str) -> str:
    """`name` with forward slashes and without empty or `.` parts; UnsafeArchivePath if it climbs."""
    path = name.replace("\\", "/")
    parts = path.split("/")
    if path.startswith("/") or _DRIVE.match(path) or ".." in parts or "\0" in path:
        raise UnsafeArchivePath(
            f"The archive holds the path {_shown(name)!r}, which points outside of it; pack the folder again."
        )
    return "/".join(part for part in parts if part not in ("", "."))


def _shown(path: str) -> str:
    return path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"


def _inflated(count: int, compressed: int, limits: ArchiveLimits) -> bool:
    return count > limits.ratio_free_bytes and count > limits.max_ratio * max(compressed, 1)
