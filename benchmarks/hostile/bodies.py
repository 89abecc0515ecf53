"""What a hostile visitor sends: bodies, images and archives that cost much more than they weigh."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache

import numpy as np
from PIL import Image

from tests.corpus.images import chunk, encoded, png

LONG_SIDE = 49_000_000
SQUARE_SIDE = 7071
"""Of an image of almost 50 megapixels."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row of each pass of an interlaced PNG, and the steps between them."""
_LEVEL = 6


def nested_lists(size: int) -> bytes:
    """A JSON list of empty lists, of about that many bytes."""
    return b"[" + b"[]," * (size // 3) + b"[]]"


def flat_numbers(size: int) -> bytes:
    """A JSON list of numbers."""
    return b"[" + b"1.5," * (size // 4) + b"1.5]"


def deep_lists(size: int) -> bytes:
    """Lists in lists in lists."""
    return b"[" * (size // 2) + b"]" * (size // 2)


def question(value: bytes, function: int) -> bytes:
    """A question to the app with a JSON value in the place of the image."""
    rest = b'"fn_index": %d, "session_hash": "hostile"}' % function
    return b'{"data": [' + value + b', ["task-0"], 3], ' + rest


def _flat(width: int, height: int, *, depth: int, channels: int) -> bytes:
    """Compressed rows of zeros."""
    row = 1 + (width * depth * channels + 7) // 8
    packer = zlib.compressobj(_LEVEL)
    block = max(1, (1 << 24) // row)
    pieces = [packer.compress(bytes(row * min(block, height - at))) for at in range(0, height, block)]
    return b"".join([*pieces, packer.flush()])


@cache
def wide_png() -> bytes:
    """49,000,000 x 1 pixels."""
    return png(LONG_SIDE, 1, _flat(LONG_SIDE, 1, depth=1, channels=1), depth=1, colour=0)


@cache
def tall_png() -> bytes:
    """1 x 49,000,000 pixels."""
    return png(1, LONG_SIDE, _flat(1, LONG_SIDE, depth=1, channels=1), depth=1, colour=0)


@cache
def flat_images() -> Mapping[str, bytes]:
    """Images of one color and 50 megapixels, by name."""
    side = SQUARE_SIDE
    palette = chunk(b"PLTE", bytes(range(48))) + chunk(b"tRNS", bytes(16))
    return {
        "rgb.png": png(side, side, _flat(side, side, depth=8, channels=3)),
        "rgba.png": png(side, side, _flat(side, side, depth=8, channels=4), colour=6),
        "rgb16.png": png(side, side, _flat(side, side, depth=16, channels=3), depth=16),
        "palette.png": png(side, side, _flat(side, side, depth=8, channels=1), colour=3, extra=palette),
        "interlaced.png": _interlaced(side),
    }


def _interlaced(side: int) -> bytes:
    """An RGB image in seven passes, of zeros."""
    packer, pieces = zlib.compressobj(_LEVEL), []
    for left, top, right, down in _ADAM7:
        columns, rows = -((left - side) // right), -((top - side) // down)
        pieces.append(packer.compress(bytes((1 + 3 * columns) * rows)))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 1)
    data = b"".join([*pieces, packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@cache
def coded_images() -> Mapping[str, bytes]:
    """A progressive JPEG and an animated GIF of 50 megapixels, by name."""
    canvas = Image.new("RGB", (SQUARE_SIDE, SQUARE_SIDE), (40, 90, 200))
    first = Image.new("P", (SQUARE_SIDE, SQUARE_SIDE), 0)
    second = Image.new("P", (SQUARE_SIDE, SQUARE_SIDE), 1)
    return {
        "progressive.jpg": encoded(canvas, "JPEG", progressive=True, quality=50),
        "animated.gif": encoded(first, "GIF", save_all=True, append_images=[second], duration=100),
    }


@cache
def extreme_zip() -> bytes:
    """Class folders with images of extreme shape, for a table and for training alike."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(6):
            label = "ab"[number % 2]
            archive.writestr(f"{label}/wide-{number}.png", wide_png())
            archive.writestr(f"{label}/tall-{number}.png", tall_png())
            archive.writestr(f"{label}/flat-{number}.png", flat_images()["rgb.png"])
    return buffer.getvalue()


@cache
def table_of_contents_zip(entries: int = 1_000_000) -> bytes:
    """A zip of 50 MB that is all table of contents: a million empty entries."""
    names = np.arange(entries, dtype=np.uint32)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", np.uint8)
    rows = np.zeros((entries, 50), np.uint8)
    fixed = struct.pack("<4s4B4H3I5HII", b"PK\1\2", 20, 3, 20, *[0] * 4, 33, 0, 0, 0, 4, *[0] * 6)
    rows[:, :46] = np.frombuffer(fixed, np.uint8)
    for place in range(4):
        rows[:, 46 + place] = letters[(names >> np.uint32(6 * place)) & np.uint32(63)]
    table = rows.tobytes()
    local = struct.pack("<4s5HIIIHH", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 4, 0) + b"aaaa"
    at = len(local)
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, len(table), at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at + len(table), 1)
    end = struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(table), at, 0)
    return local + table + end64 + locator + end


def zip_of_images(count: int, first: int = 0) -> bytes:
    """A zip of small images, each another one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(first, first + count):
            pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            archive.writestr(f"{number}.png", encoded(Image.fromarray(pixels)))
    return buffer.getvalue()


def zip_of_classes(classes: Mapping[str, list[bytes]]) -> bytes:
    """A zip of class folders with PNGs as they stand."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label, images in classes.items():
            for number, image in enumerate(images):
                archive.writestr(f"{label}/{number}.png", image)
    return buffer.getvalue()
