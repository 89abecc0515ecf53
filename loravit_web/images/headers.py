"""Headers of image files, read in bounded steps before a decoder sees the file.

A decoder allocates memory for what a header claims, and first reads all metadata into memory. Here the size,
the memory for decoding and the amount of metadata are found by skipping from part to part.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO

from PIL.JpegImagePlugin import MARKER

from loravit_web.images.iso import iso_header
from loravit_web.images.orientation import UPRIGHT, orientation
from loravit_web.images.parts import MAX_METADATA, Header, HeaderBroken, HeaderCut, Overloaded
from loravit_web.images.tiff import tiff_header

MAX_PARTS = 100_000
"""Maximum number of chunks of a PNG or WEBP. Some programs write the pixels in pieces of a few kB."""

MAX_SEGMENTS, MAX_SCANS = 1024, 100
"""Maximum number of segments before the pixels of a JPEG, and of scans. A progressive one has about ten."""

MAX_COMMENTS = 1 << 20
"""Maximum number of bytes before the first frame of a GIF, which Pillow joins piece by piece."""

MAX_WEBP, MAX_RLE = 64 << 20, 8 << 20
"""Maximum size in bytes of a WEBP and of a run-length BMP.

One is read at once, the other decoded in Python.
"""

_JUNK = 64 << 10
_UNPACKED = 5 << 20
"""Memory in bytes for a compressed text of a PNG: up to 1 MiB with four bytes per character."""

_SOF = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SCAN, _APP1 = 0xDA, 0xE1
_SCANS = re.compile(rb"\xff([\xd9\xda])")


def read_header(stream: BinaryIO, label: str) -> Header:
    """Return the header of a file.

    Args:
        stream: The file at its start; its position is changed.
        label: Format of the file, one that `reader_of` returns.

    Raises:
        HeaderCut: If the file ends inside its header.
        HeaderBroken: If the header is invalid.
        Overloaded: If the file has too much metadata or too many parts.
    """
    return _HEADERS[label](stream)


def _jpeg(stream: BinaryIO) -> Header:
    frames: list[tuple[int, bytes]] = []
    info: dict[str, bytes] = {}
    metadata = segments = 0
    for marker in _markers(stream):
        if MARKER[0xFF00 | marker][2] is None:
            continue
        length = int.from_bytes(_exactly(stream, 2), "big") - 2
        if length < 0:
            raise HeaderBroken
        start = stream.tell()
        segments += 1
        metadata += length
        if segments > MAX_SEGMENTS or metadata > MAX_METADATA:
            raise Overloaded(_too_much_metadata(MAX_METADATA))
        if marker in _SOF:
            frames.append((marker, stream.read(length)))
        elif marker == _APP1:
            content = stream.read(length)
            if content.startswith(b"Exif\0\0"):
                info.setdefault("exif", content)
            elif content.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
                info["xmp"] = content.partition(b"\0")[2]
        elif marker == _SCAN:
            (components,) = _exactly(stream, 1)
            break
        stream.seek(start + length)
    else:
        raise HeaderCut
    # Pillow uses the size of the last frame, and the decoder rejects several frames.
    if len(frames) != 1:
        raise HeaderBroken
    marker, frame = frames[0]
    return _jpeg_frame(stream, marker, frame, components, 3 * metadata, orientation(info) != UPRIGHT)


def _jpeg_frame(
    stream: BinaryIO, marker: int, frame: bytes, components: int, metadata_bytes: int, rotated: bool
) -> Header:
    try:
        _, height, width, count = struct.unpack_from(">BHHB", frame)
        sampling = [divmod(frame[7 + 3 * index], 16) for index in range(count)]
    except (struct.error, IndexError) as error:
        raise HeaderBroken from error
    if not sampling or not all(1 <= factor <= 4 for pair in sampling for factor in pair):
        raise HeaderBroken
    working = 0
    if marker in _PROGRESSIVE or components < count:
        # The decoder keeps all coefficients, because every scan may change any of them.
        _check_scans(stream)
        widest, highest = (max(pair[axis] for pair in sampling) for axis in (0, 1))
        working = sum(
            128 * (-(-width // (8 * widest)) * across) * (-(-height // (8 * highest)) * down)
            for across, down in sampling
        )
    stored = 1 if count == 1 else 4
    return Header(
        width, height, stored, working, 0, metadata_bytes, rotated=rotated, plain=count == 3, halves=True
    )


def _markers(stream: BinaryIO) -> Iterator[int]:
    """Yield the markers of a JPEG. The caller must move the stream to the end of each segment."""
    stream.seek(2)
    junk = 0
    while byte := stream.read(1):
        code = stream.read(1) if byte == b"\xff" else b""
        while code == b"\xff" and junk < _JUNK:
            code, junk = stream.read(1), junk + 1
        if code and (0xFF00 | code[0]) in MARKER:
            yield code[0]
        elif code and code != b"\0":
            raise HeaderBroken
        junk += 1
        if junk > _JUNK:
            raise HeaderBroken


def _check_scans(stream: BinaryIO) -> None:
    """Count the scans of a JPEG, each of which is a pass over the whole image.

    Raises:
        Overloaded: If there are too many.
    """
    scans, last = 1, b""
    while piece := stream.read(1 << 20):
        for found in _SCANS.finditer(last + piece):
            if found[1] == b"\xd9":
                return
            scans += 1
            if scans > MAX_SCANS:
                raise Overloaded(f"more than {MAX_SCANS} scans")
        last = piece[-1:]


def _png(stream: BinaryIO) -> Header:
    length, kind, width, height, depth, color = struct.unpack(">I4sIIBB", _exactly(stream, 18, skip=8))
    if kind != b"IHDR" or length != 13:
        raise HeaderBroken
    stream.seek(33)
    metadata = compressed = largest = 0
    transparent = animated = rotated = False
    for length, kind in _chunks(stream):
        if kind == b"fcTL" and largest and animated:
            break  # the next frame is not read
        if kind == b"IHDR":
            raise HeaderBroken
        if kind == b"IDAT":
            largest = max(largest, length)
            continue
        metadata += length
        if metadata > MAX_METADATA:
            raise Overloaded(_too_much_metadata(MAX_METADATA))
        compressed += kind in (b"zTXt", b"iTXt", b"iCCP")
        rotated |= kind in (b"eXIf", b"zTXt", b"iTXt", b"tEXt")
        transparent |= kind == b"tRNS"
        animated |= kind == b"acTL"
    stored = 4 if color in (2, 4, 6) else 2 if depth == 16 else 1
    return Header(
        width,
        height,
        stored,
        largest,  # Pillow reads the rest of a chunk at once when the pixels are complete
        kept=2 * stored * width * height if animated else 0,
        metadata_bytes=2 * metadata + _UNPACKED * compressed,
        rotated=rotated,
        plain=color == 2 and not transparent,
    )


def _chunks(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield length and type of each chunk up to the end of the file."""
    for _ in range(MAX_PARTS):
        head = stream.read(8)
        length, kind = struct.unpack(">I4s", head.ljust(8, b"\0"))
        if len(head) < 8 or kind == b"IEND":
            return
        yield length, kind
        stream.seek(length + 4, SEEK_CUR)
    raise Overloaded(f"more than {MAX_PARTS} parts")


def _gif(stream: BinaryIO) -> Header:
    width, height, flags = struct.unpack("<HHB", _exactly(stream, 5, skip=6))
    start = 13 + ((6 << (flags & 7)) if flags & 128 else 0)
    stream.seek(start)
    while (kind := _exactly(stream, 1)) != b",":
        if kind == b"!":
            for _ in _extension(stream):
                if stream.tell() - start > MAX_COMMENTS:
                    raise Overloaded(_too_much_metadata(MAX_COMMENTS))
        elif kind == b";":
            raise HeaderBroken
        if stream.tell() - start > MAX_COMMENTS:
            raise Overloaded(_too_much_metadata(MAX_COMMENTS))
    left, top, across, down = struct.unpack("<4H", _exactly(stream, 8))
    width, height = max(width, left + across), max(height, top + down)
    pixels = width * height
    # The canvas of the next frame, and a copy for a frame that exceeds it.
    return Header(width, height, 1, pixels, pixels, stream.tell() - start)


def _extension(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the blocks of an extension as Pillow reads them.

    Only in comments an empty first block is the end.
    """
    comment = _exactly(stream, 1) == b"\xfe"
    block = _block(stream)
    yield block
    if comment and not block:
        return
    if not comment and block.startswith(b"NETSCAPE2.0"):
        yield _block(stream)
    while block := _block(stream):
        yield block


def _block(stream: BinaryIO) -> bytes:
    size = stream.read(1)
    return stream.read(size[0]) if size else b""


def _bmp(stream: BinaryIO) -> Header:
    (size,) = struct.unpack("<I", _exactly(stream, 4, skip=14))
    if size == 12:
        width, height, _, bits = struct.unpack("<HHHH", _exactly(stream, 8))
        packing = 0
    else:
        width, height, _, bits, packing = struct.unpack("<IIHHI", _exactly(stream, 16))
        height = (1 << 32) - height if height >> 24 == 0xFF else height
    runs = packing in (1, 2)
    if runs and stream.seek(0, SEEK_END) > MAX_RLE:
        raise Overloaded(f"more than {MAX_RLE >> 20} MiB of run-length data")
    working = 2 * width * height if runs else 0
    return Header(width, height, 4 if bits > 8 else 1, working, plain=bits in (16, 24))


def _webp(stream: BinaryIO) -> Header:
    kind, _, head = struct.unpack("<4sI10s", _exactly(stream, 18, skip=12))
    if kind == b"VP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    else:
        raise HeaderBroken
    size = stream.seek(0, SEEK_END)
    if size > MAX_WEBP:
        raise Overloaded(f"more than {MAX_WEBP >> 20} MiB")
    pixels = width * height
    # a second copy of the frame as bytes, and two canvases
    return Header(width, height, 4, 4 * pixels, 8 * pixels, 3 * size, rotated=kind == b"VP8X")


def _exactly(stream: BinaryIO, count: int, *, skip: int | None = None) -> bytes:
    if skip is not None:
        stream.seek(skip)
    data = stream.read(count)
    if len(data) < count:
        raise HeaderCut
    return data


def _too_much_metadata(limit: int) -> str:
    return f"more than {limit >> 20} MiB of metadata"


_HEADERS: dict[str, Callable[[BinaryIO], Header]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "BMP": _bmp,
    "WEBP": _webp,
    "TIFF": tiff_header,
    "AVIF": iso_header,
    "HEIC": iso_header,
}
