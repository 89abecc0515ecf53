"""What an image file says of itself, read in bounded steps before any decoder sees the file.

A decoder allocates and works for what a header claims, and reads all metadata into memory first. Here the
size, the memory that decoding will take and the amount of metadata are found by skipping from part to part.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO

from PIL.JpegImagePlugin import MARKER

from loravit_web.images.orientation import UPRIGHT, orientation

MOST_METADATA = 16 << 20
"""Bytes beside the pixels: profiles, EXIF, XMP with a depth map, comments."""

MOST_PARTS = 100_000
"""Chunks of a PNG, with its pixels in pieces of a few kB, and of a WEBP."""

MOST_SEGMENTS, MOST_SCANS = 1024, 100
"""Of a JPEG, before its pixels and of them: a progressive one has about ten scans."""

MOST_COMMENTS = 1 << 20
"""Bytes before the first frame of a GIF, which Pillow joins piece by piece."""

MOST_WEBP, MOST_RLE = 64 << 20, 8 << 20
"""Bytes of whole files: a WEBP is read at once, a run-length BMP is decoded in Python."""

_JUNK = 64 << 10
_UNPACKED = 5 << 20
"""A compressed text of a PNG: up to 1 MiB, four bytes for each character."""

_SOF = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SCAN, _APP1 = 0xDA, 0xE1
_SCANS = re.compile(rb"\xff([\xd9\xda])")


class HeaderCut(ValueError):
    """The file ends inside its header."""


class HeaderBroken(ValueError):
    """The header is none."""


class Overloaded(Exception):
    """The file carries too much beside its pixels; the text says what."""


@dataclass(frozen=True, slots=True)
class Header:
    """What decoding a file will take.

    Attributes:
        width, height: in pixels.
        stored: bytes per pixel of the decoded picture in Pillow's memory.
        working: bytes that the decoder needs besides, until it is done.
        kept: bytes that Pillow holds besides for as long as the picture is open.
        beside: bytes of metadata and copies of the file.
        turned: whether EXIF or XMP may turn the picture.
        plain: whether it comes as RGB without transparency.
        halves: whether the decoder can give half or a quarter of the sides at once.
    """

    width: int
    height: int
    stored: int
    working: int = 0
    kept: int = 0
    beside: int = 0
    turned: bool = False
    plain: bool = False
    halves: bool = False


def read_header(stream: BinaryIO, label: str) -> Header:
    """The header of a file that begins like this format.

    Args:
        stream: at its start; is left anywhere.
        label: JPEG, PNG, GIF, BMP or WEBP.

    Raises:
        HeaderCut, HeaderBroken: if there is none.
        Overloaded: for too much metadata, or too many parts.
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
        if segments > MOST_SEGMENTS or metadata > MOST_METADATA:
            raise Overloaded(_beside(MOST_METADATA))
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
    # Pillow takes the size of the last one, the decoder refuses more than one
    if len(frames) != 1:
        raise HeaderBroken
    marker, frame = frames[0]
    return _jpeg_frame(stream, marker, frame, components, 3 * metadata, orientation(info) != UPRIGHT)


def _jpeg_frame(
    stream: BinaryIO, marker: int, frame: bytes, components: int, beside: int, turned: bool
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
        # the decoder keeps all coefficients, as every scan may add to any of them
        _check_scans(stream)
        widest, highest = (max(pair[axis] for pair in sampling) for axis in (0, 1))
        working = sum(
            128 * (-(-width // (8 * widest)) * across) * (-(-height // (8 * highest)) * down)
            for across, down in sampling
        )
    stored = 1 if count == 1 else 4
    return Header(width, height, stored, working, 0, beside, turned=turned, plain=count == 3, halves=True)


def _markers(stream: BinaryIO) -> Iterator[int]:
    """The markers of a JPEG; the stream stands behind each, and has to be moved to the end of its segment."""
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
    """
    Raises:
        Overloaded: for more scans than a picture is made of; each passes over all of it.
    """
    scans, last = 1, b""
    while piece := stream.read(1 << 20):
        for found in _SCANS.finditer(last + piece):
            if found[1] == b"\xd9":
                return
            scans += 1
            if scans > MOST_SCANS:
                raise Overloaded(f"more than {MOST_SCANS} scans")
        last = piece[-1:]


def _png(stream: BinaryIO) -> Header:
    length, kind, width, height, depth, colour = struct.unpack(">I4sIIBB", _exactly(stream, 18, skip=8))
    if kind != b"IHDR" or length != 13:
        raise HeaderBroken
    stream.seek(33)
    metadata = packed = largest = 0
    clear = moving = turned = False
    for length, kind in _chunks(stream):
        if kind == b"fcTL" and largest and moving:
            break  # the next frame, which is not read
        if kind == b"IHDR":
            raise HeaderBroken
        if kind == b"IDAT":
            largest = max(largest, length)
            continue
        metadata += length
        if metadata > MOST_METADATA:
            raise Overloaded(_beside(MOST_METADATA))
        packed += kind in (b"zTXt", b"iTXt", b"iCCP")
        turned |= kind in (b"eXIf", b"zTXt", b"iTXt", b"tEXt")
        clear |= kind == b"tRNS"
        moving |= kind == b"acTL"
    stored = 4 if colour in (2, 4, 6) else 2 if depth == 16 else 1
    return Header(
        width,
        height,
        stored,
        largest,  # Pillow reads at once what is left of one when the pixels are complete
        kept=2 * stored * width * height if moving else 0,
        beside=2 * metadata + _UNPACKED * packed,
        turned=turned,
        plain=colour == 2 and not clear,
    )


def _chunks(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Length and type of each chunk up to the end, or to where the file is cut."""
    for _ in range(MOST_PARTS):
        head = stream.read(8)
        length, kind = struct.unpack(">I4s", head.ljust(8, b"\0"))
        if len(head) < 8 or kind == b"IEND":
            return
        yield length, kind
        stream.seek(length + 4, SEEK_CUR)
    raise Overloaded(f"more than {MOST_PARTS} parts")


def _gif(stream: BinaryIO) -> Header:
    width, height, flags = struct.unpack("<HHB", _exactly(stream, 5, skip=6))
    start = 13 + ((6 << (flags & 7)) if flags & 128 else 0)
    stream.seek(start)
    while (kind := _exactly(stream, 1)) != b",":
        if kind == b"!":
            for _ in _extension(stream):
                if stream.tell() - start > MOST_COMMENTS:
                    raise Overloaded(_beside(MOST_COMMENTS))
        elif kind == b";":
            raise HeaderBroken
        if stream.tell() - start > MOST_COMMENTS:
            raise Overloaded(_beside(MOST_COMMENTS))
    left, top, across, down = struct.unpack("<4H", _exactly(stream, 8))
    width, height = max(width, left + across), max(height, top + down)
    pixels = width * height
    # what the next frame would be drawn over, and a copy for a frame that leaves the screen
    return Header(width, height, 1, pixels, pixels, stream.tell() - start)


def _extension(stream: BinaryIO) -> Iterator[bytes]:
    """The blocks of an extension, read as Pillow does: all but comments go on behind an empty first block."""
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
    if runs and stream.seek(0, SEEK_END) > MOST_RLE:
        raise Overloaded(f"more than {MOST_RLE >> 20} MiB of run-length data")
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
    if size > MOST_WEBP:
        raise Overloaded(f"more than {MOST_WEBP >> 20} MiB")
    pixels = width * height
    # the frame once more as bytes, and two canvases
    return Header(width, height, 4, 4 * pixels, 8 * pixels, 3 * size, turned=kind == b"VP8X")


def _exactly(stream: BinaryIO, count: int, *, skip: int | None = None) -> bytes:
    if skip is not None:
        stream.seek(skip)
    data = stream.read(count)
    if len(data) < count:
        raise HeaderCut
    return data


def _beside(most: int) -> str:
    return f"more than {most >> 20} MiB beside its pixels"


_HEADERS: dict[str, Callable[[BinaryIO], Header]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "BMP": _bmp,
    "WEBP": _webp,
}
