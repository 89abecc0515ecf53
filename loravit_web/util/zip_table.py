"""The table of contents of a zip, counted before `zipfile` makes an object of each entry."""

from __future__ import annotations

import struct
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO

NAME_BYTES = 512
"""Of names, extra fields and comments, for each entry on average."""

_FREE = 1 << 20
_END, _END64, _LOCATOR, _ENTRY = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02"
_END_SIZE, _END64_SIZE, _LOCATOR_SIZE, _ENTRY_SIZE = 22, 56, 20, 46
_LONGEST_COMMENT = 1 << 16


class NoTable(ValueError):
    """A file without a readable table of contents, or with one that contradicts itself."""


class TableTooLong(ValueError):
    """A table of more entries, or of longer names, than is allowed.

    Attributes:
        entries: how many it says or has at least.
    """

    def __init__(self, entries: int) -> None:
        super().__init__(f"{entries} entries")
        self.entries = entries


def check_table(stream: BinaryIO, most: int) -> None:
    """Count the entries of a zip without keeping any.

    What the zip says of their number is looked at first, but only what is there counts.

    Args:
        stream: seekable; is left anywhere.
        most: entries that are allowed.

    Raises:
        NoTable: if there is none, or it is not what the end of the zip says.
        TableTooLong: as soon as it is known.
    """
    start, size, told = _place(stream)
    if told > most or size > (_ENTRY_SIZE + NAME_BYTES) * most + _FREE:
        raise TableTooLong(told)
    stream.seek(start)
    found = done = 0
    while done < size:
        head = stream.read(_ENTRY_SIZE)
        if len(head) < _ENTRY_SIZE or not head.startswith(_ENTRY):
            raise NoTable("an entry is damaged")
        more = sum(struct.unpack_from("<3H", head, 28))
        found, done = found + 1, done + _ENTRY_SIZE + more
        if found > most:
            raise TableTooLong(found)
        stream.seek(more, SEEK_CUR)
    # without ZIP64 the number is told modulo 65536
    if done != size or found % 0x10000 != told % 0x10000:
        raise NoTable("the table is not the one that the end of the zip tells of")


def _place(stream: BinaryIO) -> tuple[int, int, int]:
    """Start and size of the table in bytes, and how many entries it is said to have."""
    # all as zipfile does, so that it reads the table that is looked at here
    length = stream.seek(0, SEEK_END)
    stream.seek(max(0, length - _END_SIZE - _LONGEST_COMMENT))
    tail = stream.read(_END_SIZE + _LONGEST_COMMENT)
    found = tail.rfind(_END)
    if tail[-_END_SIZE:].startswith(_END) and tail.endswith(b"\0\0"):
        found = len(tail) - _END_SIZE
    if not 0 <= found <= len(tail) - _END_SIZE:
        raise NoTable("there is no end of a zip")
    told, size, offset = struct.unpack_from("<10xHII", tail, found)
    end = length - len(tail) + found
    wide = _wide(stream, end)
    if wide is not None:
        told, size, offset = wide
        end -= _END64_SIZE + _LOCATOR_SIZE
    # anything may stand in front of a zip, so that its table is found from its end
    start = end - size
    if start < 0 or offset > start:
        raise NoTable("the table lies outside the file")
    return start, size, told


def _wide(stream: BinaryIO, end: int) -> tuple[int, int, int] | None:
    """What a ZIP64 record in front of the end says: number of entries, size and offset of the table."""
    if end < _END64_SIZE + _LOCATOR_SIZE:
        return None
    stream.seek(end - _LOCATOR_SIZE - _END64_SIZE)
    record, locator = stream.read(_END64_SIZE), stream.read(_LOCATOR_SIZE)
    if not locator.startswith(_LOCATOR) or not record.startswith(_END64):
        return None
    told, size, offset = struct.unpack_from("<32xQQQ", record)
    return told, size, offset
