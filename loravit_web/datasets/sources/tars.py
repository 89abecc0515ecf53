"""Safe reading of foreign tars, which may be compressed with gzip.

A tar has no table and can only be read from its beginning. Files that may be images or tables are therefore
copied into one temporary file without a name, while every byte is counted. Links and devices are refused.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from loravit_web.datasets.errors import DamagedArchive
from loravit_web.datasets.layout.files import SNIFFED_BYTES, needs_content, skip_reason, suffix_of
from loravit_web.datasets.sources.archives import (
    DEFAULT_LIMITS,
    MIB,
    ArchiveLimits,
    duplicate_entry,
    file_too_large,
    inflated,
    is_inflated,
    link_in,
    safe_path,
    shown_path,
    too_many,
    too_many_bytes,
)
from loravit_web.datasets.sources.tables import TABLE_SUFFIXES
from loravit_web.datasets.stored.disk import storing_failed
from loravit_web.images.formats import sniffed

if TYPE_CHECKING:
    from typing_extensions import Self

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
"""Lower-case ends of the names of tars."""

_GZIP = b"\x1f\x8b"
_CHUNK = MIB
_HEADERS = MIB
"""Maximum size in bytes of the headers before a file. Long names have headers of their own."""
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)

# Errors that tarfile and gzip raise for malformed input.
_READ_FAILURES = (
    tarfile.TarError,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of a tar.

    Attributes:
        size: Size in bytes.
        at: Position in the temporary file.
        copied: Number of bytes that were copied there: all, or only the first ones.
    """

    size: int
    at: int
    copied: int


class TarArchive:
    """The regular files of a tar; see `archives.Archive`.

    Args:
        copies: File with the copies.
        entries: Files by path.
        folders: Paths of the folders.
    """

    def __init__(self, copies: BinaryIO, entries: Mapping[str, _Entry], folders: set[str]) -> None:
        self._copies, self._folders = copies, folders
        self._entries = dict(sorted(entries.items()))

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of all files, sorted."""
        return tuple(self._entries)

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of all files in bytes, by path."""
        return {path: entry.size for path, entry in self._entries.items()}

    @property
    def folders(self) -> tuple[str, ...]:
        """Paths of all folders that are listed as such, sorted."""
        return tuple(sorted(self._folders))

    def beginning(self, path: str, size: int) -> bytes:
        """Return the first bytes of a file, at most ``size``."""
        entry = self._entries[path]
        self._copies.seek(entry.at)
        return self._copies.read(min(size, entry.copied))

    def read(self, path: str) -> bytes:
        """Return the bytes of a file that may be an image or a table. Call it from one thread at a time."""
        return self.beginning(path, self._entries[path].size)


class _Counted:
    """A stream with a limit that moves on with what is expected to be read.

    Args:
        stream: The unpacked bytes.
        packed: Size of the archive in bytes.
        limits: Limits of the import.
    """

    def __init__(self, stream: BinaryIO | gzip.GzipFile, packed: int, limits: ArchiveLimits) -> None:
        self._stream, self._packed, self._limits = stream, packed, limits
        self._count = self._allowed = 0
        self.path = ""

    def allow(self, size: int) -> None:
        """Allow as many further bytes, and headers."""
        self._allowed = self._count + size + _HEADERS

    def read(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            ArchiveTooLarge: If a limit is exceeded.
            DamagedArchive: If headers take more than their limit.
        """
        data = self._stream.read(size)
        self._count += len(data)
        if self._count > self._limits.max_total_bytes:
            raise too_many_bytes(self._limits)
        if is_inflated(self._count, self._packed, self._limits):
            raise inflated(self.path, self._limits)
        if self._count > self._allowed:
            raise _damaged_after(self.path)
        return data


class _StrictInfo(tarfile.TarInfo):
    """A header whose damage is an error; tarfile takes a damaged or missing one for the end of the tar."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        """Read the next header.

        Raises:
            ReadError: If it is damaged or missing.
        """
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if isinstance(error, tarfile.EOFHeaderError):  # type: ignore[attr-defined]  # not in typeshed
                raise
            raise tarfile.ReadError(str(error)) from error


@contextmanager
def open_tar(path: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> Iterator[TarArchive]:
    """Open a tar, and check and copy its files.

    Args:
        path: File of the tar.
        limits: Limits of the import.

    Raises:
        ArchiveError: If the tar is damaged, unsafe, too large, or has too many entries.
    """
    with TemporaryFile() as copies:
        try:
            packed = path.open("rb")
        except OSError as error:
            raise _not_a_tar(path.name) from error
        with packed:
            is_gzip = packed.read(len(_GZIP)) == _GZIP
            packed.seek(0)
            stream = gzip.GzipFile(fileobj=packed) if is_gzip else packed
            counted = _Counted(stream, path.stat().st_size, limits)
            archive = _copied(counted, copies, limits, path.name)
        yield archive


def _copied(counted: _Counted, copies: BinaryIO, limits: ArchiveLimits, name: str) -> TarArchive:
    entries: dict[str, _Entry] = {}
    folders: set[str] = set()
    counted.allow(0)
    try:
        # such a stream is only read, and this one owns no file
        tar = tarfile.open(  # type: ignore[call-overload]  # noqa: SIM115
            fileobj=counted, mode="r|", tarinfo=_StrictInfo, errors="surrogateescape"
        )
        count = 0
        while (info := tar.next()) is not None:
            tar.members.clear()  # one object for each entry
            count += 1
            if count > limits.max_entries:
                raise too_many(count, limits)
            path = safe_path(info.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
            counted.path = path
            if info.isdir() or not path:
                folders.add(path)
            elif info.type not in _REGULAR or info.sparse is not None:
                raise link_in(path)
            elif path in entries or info.size < 0:
                raise duplicate_entry(path) if path in entries else _damaged_after(path)
            else:
                counted.allow(info.size)
                entries[path] = _copy(tar, info, path, copies, limits)
            counted.allow(info.size)
        _check_end(tar)
    except _READ_FAILURES as error:
        if not entries and not folders:
            raise _not_a_tar(name) from error
        raise _damaged_after(counted.path) from error
    return TarArchive(copies, entries, folders - {""})


def _copy(
    tar: tarfile.TarFile, info: tarfile.TarInfo, path: str, copies: BinaryIO, limits: ArchiveLimits
) -> _Entry:
    """Copy a file if it may be an image or a table, else only what shows its format."""
    at = copies.tell()
    source = tar.extractfile(info)
    if source is None:
        raise link_in(path)
    first = source.read(SNIFFED_BYTES)
    _write(copies, first)
    if not _may_be_read(path, first):
        return _Entry(info.size, at, len(first))
    if info.size > limits.max_file_bytes:
        raise file_too_large(path, limits)
    copied = len(first)
    while chunk := source.read(_CHUNK):
        _write(copies, chunk)
        copied += len(chunk)
    if copied != info.size:
        raise _damaged_after(path)
    return _Entry(info.size, at, copied)


def _may_be_read(path: str, first: bytes) -> bool:
    if suffix_of(path) in TABLE_SUFFIXES:
        return True
    return skip_reason(path, sniffed(first) if needs_content(path) else None) is None


def _check_end(tar: tarfile.TarFile) -> None:
    """Check that nothing but zeros follows the end; another tar behind it would be left out."""
    stream = tar.fileobj
    assert stream is not None
    while rest := stream.read(tarfile.RECORDSIZE):
        if rest.strip(b"\0"):
            raise tarfile.ReadError("data after the end")


def _write(copies: BinaryIO, data: bytes) -> None:
    try:
        copies.write(data)
    except OSError as error:
        raise storing_failed(error) from error


def _not_a_tar(name: str) -> DamagedArchive:
    return DamagedArchive(f"“{name}” is not a tar, or it is damaged. Zip the folder instead.")


def _damaged_after(path: str) -> DamagedArchive:
    return DamagedArchive(f"The archive is damaged at “{shown_path(path)}”. Zip or download it again.")
