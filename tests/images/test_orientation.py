"""The orientation equals that read by Pillow, without copying all metadata."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from PIL import Image

from loravit_web.images.orientation import orientation

ORIENTATION = 0x0112


def exif(order: str, *entries: tuple[int, int, int, bytes]) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    table = b"".join(struct.pack(order + "HHL", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0" + mark + struct.pack(order + "LH", 8, len(entries)) + table + bytes(4)


def short(value: int, order: str = "<") -> bytes:
    return struct.pack(order + "H2x", value)


TURNED = (ORIENTATION, 3, 1, short(6))
XMP = b'<x tiff:Orientation="8"/>'


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, 1),
        ({"exif": exif("<", TURNED)}, 6),
        ({"exif": exif(">", (ORIENTATION, 3, 1, short(6, ">")))}, 6),
        ({"exif": exif("<", (ORIENTATION, 4, 1, struct.pack("<L", 3)))}, 3),
        ({"exif": b"Exif\0\0" + exif("<", TURNED)}, 6),
        ({"exif": exif("<", (ORIENTATION, 3, 1, short(9)))}, 1),
        ({"exif": exif("<", (ORIENTATION, 3, 0, short(6)))}, 1),
        ({"exif": exif("<", (0x010F, 2, 900, struct.pack("<L", 8)), TURNED)}, 1),
        ({"exif": exif("<", (0x010F, 2, 20, struct.pack("<L", 8)), TURNED)}, 6),
        ({"exif": exif("<", (0x010F, 99, 900, bytes(4)), TURNED)}, 6),
        ({"exif": exif("<", TURNED)[:20]}, 1),
        ({"exif": b"Exif\0\0garbage!"}, 1),
        ({"exif": b"Exif\0\0II*\0\xff\xff\xff\xff"}, 1),
        ({"exif": exif("<"), "xmp": XMP}, 8),
        ({"exif": exif("<", TURNED), "xmp": XMP}, 6),
        ({"XML:com.adobe.xmp": XMP.decode()}, 8),
        ({"Raw profile type exif": "\nexif\n  99\n" + exif("<", TURNED).hex()}, 6),
        ({"Raw profile type exif": "\nexif\n  99\nno hex"}, 1),
        ({"exif": exif("<", TURNED), "Raw profile type exif": "x"}, 6),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_orientation_equals_that_of_pillow(info: dict[str, Any], expected: int) -> None:
    assert orientation(info) == expected
    image = Image.new("RGB", (1, 1))
    image.info = info
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, struct.error):
        found = 1
    assert (found if found in range(1, 9) else 1) == expected
