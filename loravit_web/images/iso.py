"""AVIF and HEIC: size from the boxes of the file, and readers that decode the first image only."""

from __future__ import annotations

import importlib
import struct
from functools import cache
from io import SEEK_END
from typing import BinaryIO

from PIL import AvifImagePlugin
from PIL.AvifImagePlugin import AvifImageFile
from PIL.ImageFile import ImageFile

from loravit_web.images.parts import Header, HeaderBroken, HeaderCut, Overloaded

MAX_FILE = 64 << 20
"""Maximum size in bytes, because a decoder reads the file at once."""
_MAX_BOXES, _MAX_META = 64, 4 << 20
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis")


class AvifFile(AvifImageFile):
    """Reader on one thread that ignores EXIF, of which Pillow copies every entry."""

    def _open(self) -> None:
        assert self.fp is not None
        self._decoder = importlib.import_module("PIL._avif").AvifDecoder(self.fp.read(), "auto", 1)
        self._size, self.n_frames, self._mode, *_rest = self._decoder.get_info()
        self.is_animated = self.n_frames > 1
        self.turned = int(_rest[2])
        self.seek(0)


def avif_is_supported() -> bool:
    """Return whether this Pillow can decode AVIF."""
    return bool(AvifImagePlugin.SUPPORTED)


@cache
def heic_reader() -> type[ImageFile] | None:
    """Return the reader of the optional package pillow-heif, or None if it is not installed."""
    try:
        package = importlib.import_module("pillow_heif")
    except ImportError:
        return None
    reader: type[ImageFile] = package.HeifImageFile
    return reader


def brand_of(header: bytes) -> str | None:
    """Return AVIF, HEIC or None for the first bytes of a file, by its main or compatible brands."""
    if header[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(header[:4], "big"), len(header))
    brands = [header[8:12], *(header[at : at + 4] for at in range(16, length - 3, 4))]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return "AVIF"
        if brand in _HEIC_BRANDS:
            return "HEIC"
    return "HEIC" if brands[0] in (b"mif1", b"msf1") else None


def iso_header(stream: BinaryIO) -> Header:
    """Return the header of an AVIF or HEIC, with the size of its largest image.

    Raises:
        HeaderCut: If the file ends inside its header.
        HeaderBroken: If it states no size.
        Overloaded: If it is too large.
    """
    size = stream.seek(0, SEEK_END)
    if size > MAX_FILE:
        raise Overloaded(f"more than {MAX_FILE >> 20} MiB")
    meta = _meta_box(stream, size)
    sizes = []
    at = meta.find(b"ispe")
    while at >= 0:
        if at + 16 <= len(meta):
            sizes.append(struct.unpack_from(">II", meta, at + 8))
        at = meta.find(b"ispe", at + 4)
    if not sizes:
        raise HeaderBroken
    width, height = max(sizes, key=lambda one: one[0] * one[1])
    pixels = width * height
    # the planes of the decoder with two bytes a value, its RGB, and the copy that Pillow reads
    return Header(width, height, 4, 14 * pixels, metadata_bytes=3 * size, rotated=True)


def _meta_box(stream: BinaryIO, size: int) -> bytes:
    """Return the content of the box that describes the images."""
    at = 0
    for _ in range(_MAX_BOXES):
        stream.seek(at)
        head = stream.read(16)
        if len(head) < 8:
            raise HeaderCut
        length, kind = struct.unpack_from(">I4s", head)
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
        if length == 0:
            length = size - at
        if length < 8:
            raise HeaderBroken
        if kind == b"meta":
            if length > _MAX_META:
                raise Overloaded(f"more than {_MAX_META >> 20} MiB of metadata")
            if at + length > size:
                raise HeaderCut
            stream.seek(at)
            return stream.read(length)
        at += length
    raise HeaderBroken
