"""Safe reading of foreign zips: entries are checked first, and bytes are counted while they are read.

Nothing is extracted by name: callers get relative paths and bytes.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loravit_web.datasets.errors import (
    ArchiveLink,
    ArchiveTooLarge,
    DamagedArchive,
    DuplicateEntry,
    EncryptedArchive,
    TooManyEntries,
    UnsafeArchivePath,
)
from loravit_web.datasets.sources.zip_names import read_names
from loravit_web.settings.limits import Limits
from loravit_web.util.zip_table import NoTable, TableTooLong, check_table

MIB = 1024 * 1024

_CHUNK = MIB
_ENCRYPTED = 0x1 | 0x40
_LOCAL_HEADER = 30
"""Size in bytes of the header before a file, without its name."""
_SHOWN = 80
"""Maximum number of characters of a path in an error."""

# Without LZMA, where a header of a few bytes decides how much memory the decoder needs.
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})

_DRIVE = re.compile(r"[A-Za-z]:")

# Errors that zipfile and its decompressors raise for malformed input.
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


_OTHER_KINDS = {b"7z\xbc\xaf": "7z", b"Rar!": "RAR", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


def archive_kind(beginning: bytes) -> str | None:
    """Return the kind of an archive other than zip and tar by its first bytes, or None."""
    return next((kind for signature, kind in _OTHER_KINDS.items() if beginning.startswith(signature)), None)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Limits of one import.

    Attributes:
        max_entries: Maximum number of files.
        max_total_bytes: Maximum size of all files together.
        max_file_bytes: Maximum size of one file.
        max_ratio: Maximum compression ratio, checked above ``ratio_free_bytes`` of output.
        ratio_free_bytes: Number of bytes that may have any compression ratio.
    """

    max_entries: int = 200_000
    max_total_bytes: int = 4 * 1024 * MIB
    max_file_bytes: int = 64 * MIB
    max_ratio: float = 200.0
    ratio_free_bytes: int = 8 * MIB


DEFAULT_LIMITS = ArchiveLimits()


class Archive(Protocol):
    """The regular files of an open archive, by relative path with forward slashes, sorted."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of all files, sorted."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Sizes of all files in bytes as the archive tells them, by path."""

    @property
    def folders(self) -> tuple[str, ...]:
        """Paths of all folders that are listed as such, sorted."""

    def beginning(self, path: str, size: int) -> bytes:
        """Return the first bytes of a file, at most ``size``; nothing if it cannot be read."""

    def read(self, path: str) -> bytes:
        """Return the bytes of a file. Call it from one thread at a time."""


def archive_limits(limits: Limits) -> ArchiveLimits:
    """Return the limits of one import for the app's limits."""
    return ArchiveLimits(max_entries=limits.files, max_total_bytes=limits.unpacked_mib * MIB)


class SafeArchive:
    """The regular files of an open zip, by relative path with forward slashes, sorted.

    Args:
        archive: The open zip.
        size: Size of the zip in bytes.
        limits: Limits of the import.
        encoding: Encoding of names that do not tell it, or None to find it.

    Attributes:
        notes: Sentences about how the names were read.
    """

    def __init__(
        self, archive: zipfile.ZipFile, size: int, limits: ArchiveLimits, encoding: str | None = None
    ) -> None:
        self._archive = archive
        self._size = size
        self._limits = limits
        infos = archive.infolist()
        if len(infos) > limits.max_entries:
            raise too_many(len(infos), limits)
        names = read_names(infos, encoding)
        self.notes = names.notes
        self._entries, self._folders = _checked_entries(infos, names.decoded)
        self._total = 0

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of all files, sorted."""
        return tuple(self._entries)

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of all files in bytes as the zip tells them, by path. They may be wrong."""
        return {path: info.file_size for path, info in self._entries.items()}

    @property
    def folders(self) -> tuple[str, ...]:
        """Paths of all folders that are listed as such, sorted."""
        return tuple(sorted(self._folders))

    def beginning(self, path: str, size: int) -> bytes:
        """Return the first bytes of a file, at most ``size``; nothing if it cannot be read."""
        try:
            with self._archive.open(self._entries[path]) as stream:
                return stream.read(size)
        except _READ_FAILURES:
            return b""

    def read(self, path: str) -> bytes:
        """Return the bytes of a file. Call it from one thread at a time.

        Args:
            path: One of `paths`.

        Raises:
            ArchiveTooLarge: As soon as the bytes exceed a limit, regardless of the headers.
            DamagedArchive: If the file cannot be read.
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
                f"The archive is damaged at “{shown_path(path)}”. Zip or download it again."
            ) from error
        return b"".join(parts)

    def _check_amount(self, path: str, count: int, compressed: int) -> None:
        limits = self._limits
        if count > limits.max_file_bytes:
            raise file_too_large(path, limits)
        if self._total > limits.max_total_bytes:
            raise too_many_bytes(limits)
        if is_inflated(count, compressed, limits) or is_inflated(self._total, self._size, limits):
            raise inflated(path, limits)


@contextmanager
def open_archive(
    path: Path, limits: ArchiveLimits = DEFAULT_LIMITS, *, encoding: str | None = None
) -> Iterator[SafeArchive]:
    """Open and check a zip.

    Its table is checked before it is read, and all entries before any is unpacked.

    Args:
        path: File of the zip.
        limits: Limits of the import.
        encoding: Encoding of names that do not tell it, or None to find it.

    Raises:
        ArchiveError: If the zip is damaged, unsafe, encrypted, or has too many entries.
    """
    try:
        with path.open("rb") as stream:
            check_table(stream, limits.max_entries)
        archive = zipfile.ZipFile(path)
    except TableTooLong as error:
        raise too_many(error.entries, limits) from error
    except (*_READ_FAILURES, NoTable) as error:
        with suppress(OSError), path.open("rb") as stream:
            kind = archive_kind(stream.read(8))
            if kind is not None:
                raise DamagedArchive(
                    f"“{path.name}” is a {kind} archive, not a zip. Unpack it, and zip the folder."
                ) from error
        raise DamagedArchive(
            f"“{path.name}” is not a zip, or it is damaged. Zip the folder again."
        ) from error
    with archive:
        yield SafeArchive(archive, path.stat().st_size, limits, encoding)


def _checked_entries(
    infos: Sequence[zipfile.ZipInfo], names: Sequence[str]
) -> tuple[dict[str, zipfile.ZipInfo], set[str]]:
    _check_overlaps(infos)
    entries: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for info, name in zip(infos, names, strict=True):
        path = safe_path(name)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise link_in(path)
        if info.flag_bits & _ENCRYPTED:
            raise EncryptedArchive("The archive is protected by a password. Zip it again without a password.")
        if info.compress_type not in _COMPRESSIONS:
            raise DamagedArchive(
                f"“{shown_path(path)}” in the archive uses an unsupported compression. Zip the folder again "
                "with Deflate."
            )
        if info.is_dir() or kind == stat.S_IFDIR or not path:
            folders.add(path)
            continue
        if path in entries:
            raise duplicate_entry(path)
        entries[path] = info
    return dict(sorted(entries.items())), folders - {""}


def file_too_large(path: str, limits: ArchiveLimits) -> ArchiveTooLarge:
    """Return the error for a file above the limit."""
    return ArchiveTooLarge(
        f"“{shown_path(path)}” in the archive is larger than {limits.max_file_bytes / MIB:g} MiB. "
        "Make it smaller."
    )


def too_many_bytes(limits: ArchiveLimits) -> ArchiveTooLarge:
    """Return the error for files that together are above the limit."""
    return ArchiveTooLarge(
        f"The archive contains more than {limits.max_total_bytes / MIB:g} MiB. Use fewer or smaller images."
    )


def inflated(path: str, limits: ArchiveLimits) -> ArchiveTooLarge:
    """Return the error for a compression ratio above the limit."""
    return ArchiveTooLarge(
        f"The compression ratio at “{shown_path(path)}” is above {limits.max_ratio:g}, which is not "
        "plausible for images. Zip the images again."
    )


def duplicate_entry(path: str) -> DuplicateEntry:
    """Return the error for a path that is there twice."""
    return DuplicateEntry(f"The archive contains “{shown_path(path)}” twice. Zip the folder again.")


def link_in(path: str) -> ArchiveLink:
    """Return the error for a link or a device."""
    return ArchiveLink(f"“{shown_path(path)}” in the archive is a link. Zip the images themselves.")


def too_many(entries: int, limits: ArchiveLimits) -> TooManyEntries:
    """Return the error for an archive with too many entries, or with too long names."""
    if entries <= limits.max_entries:
        return TooManyEntries(
            "The names in the archive are too long. Use shorter names for folders and images."
        )
    return TooManyEntries(
        f"The archive has {entries} entries, and the limit is {limits.max_entries}. Use fewer images."
    )


def _check_overlaps(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Check that files do not share bytes; a small zip with shared bytes could unpack to any size.

    Raises:
        DamagedArchive: If files overlap.
    """
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise DamagedArchive("Files in the archive overlap. Zip the folder again.")
        end = info.header_offset + _LOCAL_HEADER + info.compress_size


def safe_path(name: str) -> str:
    """Return the path with forward slashes and without empty or ``.`` parts.

    Raises:
        UnsafeArchivePath: If the path is absolute or leaves the archive.
    """
    path = name.replace("\\", "/")
    parts = path.split("/")
    if path.startswith("/") or _DRIVE.match(path) or ".." in parts or "\0" in path:
        raise UnsafeArchivePath(
            f"The archive contains the path {shown_path(name)!r}, which leads outside of it. Zip the folder "
            "again."
        )
    return "/".join(part for part in parts if part not in ("", "."))


def shown_path(path: str) -> str:
    """Return a path for an error, cut if it is long."""
    return path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"


def is_inflated(count: int, compressed: int, limits: ArchiveLimits) -> bool:
    """Return whether bytes come from fewer compressed ones than images do."""
    return count > limits.ratio_free_bytes and count > limits.max_ratio * max(compressed, 1)
