"""The table of contents of a zip, checked before `zipfile` creates an object per entry."""

from __future__ import annotations

import struct
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO

NAME_BYTES = 512
"""Maximum number of bytes of name, extra field and comment per entry on average."""

_FREE = 1 << 20
_END, _END64, _LOCATOR, _ENTRY = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02"
_END_SIZE, _END64_SIZE, _LOCATOR_SIZE, _ENTRY_SIZE = 22, 56, 20, 46
_LONGEST_COMMENT = 1 << 16


class NoTable(ValueError):
    """A file without a readable table of contents, or with a contradictory one."""


class TableTooLong(ValueError):
    """A table with too many entries or too long names.

    Attributes:
        entries: Number of entries that it declares, or has at least.
    """

    def __init__(self, entries: int) -> None:
        super().__init__(f"{entries} entries")
        self.entries = entries


def check_table(stream: BinaryIO, max_entries: int) -> None:
    """Count the entries of a zip without keeping any.

    The declared number is checked first, but only the actual entries count.

    Args:
        stream: Seekable file; its position is changed.
        max_entries: Maximum number of entries.

    Raises:
        NoTable: If there is no table, or it differs from the end of the zip.
        TableTooLong: If there are too many entries or the names are too long.
    """
    start, size, declared = _place(stream)
    if declared > max_entries or size > (_ENTRY_SIZE + NAME_BYTES) * max_entries + _FREE:
        raise TableTooLong(declared)
    stream.seek(start)
    found = done = 0
    while done < size:
        head = stream.read(_ENTRY_SIZE)
        if len(head) < _ENTRY_SIZE or not head.startswith(_ENTRY):
            raise NoTable("an entry is damaged")
        more = sum(struct.unpack_from("<3H", head, 28))
        found, done = found + 1, done + _ENTRY_SIZE + more
        if found > max_entries:
            raise TableTooLong(found)
        stream.seek(more, SEEK_CUR)
    # without ZIP64 the number is stored modulo 65536
    if done != size or found % 0x10000 != declared % 0x10000:
        raise NoTable("the table does not match the end of the zip")


def _place(stream: BinaryIO) -> tuple[int, int, int]:
    """Return start and size of the table in bytes, and its declared number of entries."""
    # The same steps as in zipfile, so that it reads the table that is checked here.
    length = stream.seek(0, SEEK_END)
    stream.seek(max(0, length - _END_SIZE - _LONGEST_COMMENT))
    tail = stream.read(_END_SIZE + _LONGEST_COMMENT)
    found = tail.rfind(_END)
    if tail[-_END_SIZE:].startswith(_END) and tail.endswith(b"\0\0"):
        found = len(tail) - _END_SIZE
    if not 0 <= found <= len(tail) - _END_SIZE:
        raise NoTable("there is no end of a zip")
    declared, size, offset = struct.unpack_from("<10xHII", tail, found)
    end = length - len(tail) + found
    zip64 = _zip64(stream, end)
    if zip64 is not None:
        declared, size, offset = zip64
        end -= _END64_SIZE + _LOCATOR_SIZE
    # A zip may follow other data, so its table is found from its end.
    start = end - size
    if start < 0 or offset > start:
        raise NoTable("the table lies outside the file")
    return start, size, declared


def _zip64(stream: BinaryIO, end: int) -> tuple[int, int, int] | None:
    """Return number of entries, size and offset of the table from a ZIP64 record before the end."""
    if end < _END64_SIZE + _LOCATOR_SIZE:
        return None
    stream.seek(end - _LOCATOR_SIZE - _END64_SIZE)
    record, locator = stream.read(_END64_SIZE), stream.read(_LOCATOR_SIZE)
    if not locator.startswith(_LOCATOR) or not record.startswith(_END64):
        return None
    declared, size, offset = struct.unpack_from("<32xQQQ", record)
    return declared, size, offset
