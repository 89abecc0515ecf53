"""PNG files with more text or a larger profile than Pillow unpacks: the same file without them."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import BinaryIO

TEXT_LIMITS = ("Decompressed data too large", "Too much memory used in text chunks")
"""Beginnings of Pillow's errors about such a file, whose pixels it could decode."""
_TEXTS = (b"iCCP", b"zTXt", b"iTXt", b"tEXt")
_SIGNATURE = 8


def without_texts(stream: BinaryIO) -> BytesIO:
    """Return a copy of a PNG without its texts and its color profile, which are not used.

    Args:
        stream: The file; its header and the number of its chunks were checked.
    """
    stream.seek(0)
    copy = BytesIO()
    copy.write(stream.read(_SIGNATURE))
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in _TEXTS:
            stream.seek(length + 4, 1)
        else:
            copy.write(head)
            copy.write(stream.read(length + 4))
        if kind == b"IEND":
            break
    return copy
