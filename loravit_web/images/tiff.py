"""TIFF: the first image of a file, with checks before Pillow or libtiff see it.

Both read every entry of the directory, and allocate what tiles claim. Here the entries of the first directory
are counted by skipping through them, and compressions are taken from a list.
"""

from __future__ import annotations

import struct
from io import SEEK_END
from typing import Any, BinaryIO

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from loravit_web.images.parts import MAX_METADATA, Header, HeaderBroken, HeaderCut, Overloaded

MAX_ENTRIES, MAX_STRIPS = 512, 200_000
"""Maximum number of entries of a directory, and of strips or tiles of an image."""
COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
"""Compressions that are decoded: none, CCITT, LZW, JPEG, Deflate and PackBits."""
_NAMED = {6: "old JPEG", 34661: "JBIG", 34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "Zstandard"}
_NAMED |= {50001: "WEBP", 33003: "JPEG 2000", 33005: "JPEG 2000", 34713: "Nikon raw", 65000: "raw"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
"""Bytes of one value by its type."""
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES, _STRIP_ROWS = 256, 257, 258, 259, 274, 277, 278
_TILE_WIDTH, _TILE_HEIGHT, _STRIPS, _TILES = 322, 323, 273, 324


class TiffFile(TiffImageFile):
    """Reader of the first image as it is stored.

    Pillow rotates by the orientation, and reads further directories for it. The caller rotates instead.
    """

    def _setup(self) -> None:
        super()._setup()
        self._size = self._tile_size

    def load_prepare(self) -> None:
        """Allocate the pixels, of which the number was checked before."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()

    def load_end(self) -> None:
        """Read nothing further."""


def tiff_header(stream: BinaryIO) -> Header:
    """Return the header of the first image of a TIFF.

    Raises:
        HeaderCut: If the file ends inside its header.
        HeaderBroken: If the header is invalid.
        Overloaded: If the file has too much metadata, or a compression that is not decoded.
    """
    size = stream.seek(0, SEEK_END)
    stream.seek(0)
    order = {b"II": "<", b"MM": ">"}.get(stream.read(2))
    if order is None:
        raise HeaderBroken
    big = _unpacked(stream, f"{order}H")[0] == 43
    if big:
        stream.seek(8)
    (at,) = _unpacked(stream, f"{order}Q" if big else f"{order}L")
    fields, metadata, following = _directory(stream, order, at, size, big=big)
    width, height = fields.get(_WIDTH, 0), fields.get(_HEIGHT, 0)
    if not width or not height:
        raise HeaderBroken
    compression = fields.get(_COMPRESSION, 1)
    if compression not in COMPRESSIONS:
        raise Overloaded(f"the compression {_NAMED.get(compression, compression)}, which is not supported")
    bits = fields.get(_BITS, 1)
    samples = max(1, fields.get(_SAMPLES, 1))
    depth = samples * max(1, (bits + 7) // 8)
    if bits > 64 or depth > 64:
        raise HeaderBroken
    if _TILES in fields:
        block = fields.get(_TILE_WIDTH, 0) * fields.get(_TILE_HEIGHT, 0) * depth
    else:
        block = width * min(height, fields.get(_STRIP_ROWS, height)) * depth
    orientation = fields.get(_ORIENTATION, 1)
    stored = 4 if samples > 1 or bits > 16 else max(1, (bits + 7) // 8)
    return Header(
        width,
        height,
        stored,
        block,
        metadata_bytes=6 * metadata + (size if compression != 1 else 0),
        rotated=orientation != 1,
        orientation=orientation if 1 <= orientation <= 8 else 1,
        depth=bits,
        has_more_pages=following,
    )


def _directory(
    stream: BinaryIO, order: str, at: int, size: int, *, big: bool
) -> tuple[dict[int, int], int, bool]:
    """Return the first value of each entry, the bytes of all values, and whether a directory follows."""
    if not 0 < at < size:
        raise HeaderCut
    stream.seek(at)
    (count,) = _unpacked(stream, f"{order}Q" if big else f"{order}H")
    if count > MAX_ENTRIES:
        raise Overloaded(f"more than {MAX_ENTRIES} entries of metadata")
    form, inline = (f"{order}HHQ8s", 8) if big else (f"{order}HHL4s", 4)
    entries = [_unpacked(stream, form) for _ in range(count)]
    (following,) = _unpacked(stream, f"{order}Q" if big else f"{order}L")
    fields: dict[int, int] = {}
    total = 0
    for tag, kind, values, data in entries:
        length = values * _SIZES.get(kind, 0)
        total += length
        if total > MAX_METADATA:
            raise Overloaded(f"more than {MAX_METADATA >> 20} MiB of metadata")
        if tag in (_STRIPS, _TILES) and values > MAX_STRIPS:
            raise Overloaded(f"more than {MAX_STRIPS} strips or tiles")
        if length > inline:
            (place,) = struct.unpack_from(f"{order}Q" if big else f"{order}L", data)
            if place + length > size:
                raise HeaderCut
            stream.seek(place)
            data = stream.read(8)
        number = {1: "B", 3: "H", 4: "L", 16: "Q"}.get(kind)
        if number is not None and values:
            (fields[tag],) = struct.unpack_from(order + number, data)
    return fields, total, following != 0


def _unpacked(stream: BinaryIO, form: str) -> tuple[Any, ...]:
    data = stream.read(struct.calcsize(form))
    if len(data) < struct.calcsize(form):
        raise HeaderCut
    return struct.unpack(form, data)
