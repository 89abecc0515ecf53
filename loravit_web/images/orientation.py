"""Orientation of an image: one number from its EXIF or XMP, read without the other entries.

Pillow copies the value of every entry, and all entries may refer to the same bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

UPRIGHT = 1
"""Orientation of an image that is not rotated."""
_TAG = 0x0112
_PREFIX = b"Exif\0\0"
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of one value by its TIFF type."""
_INTEGERS = {3: "H", 4: "L", 8: "h", 9: "l"}
_ORDERS = {b"II*\0": "<", b"II\0*": "<", b"MM\0*": ">", b"MM*\0": ">"}
_XMP = re.compile(rb'tiff:Orientation(="|>)([0-9])')


def orientation(info: Mapping[Any, Any]) -> int:
    """Return the EXIF orientation, 1 to 8, or 1 if there is no valid one.

    EXIF is read up to the first entry whose value is missing, as is common in damaged EXIF. XMP is used if
    EXIF has no orientation.

    Args:
        info: Metadata that Pillow found.
    """
    try:
        found = _in_exif(_exif(info))
    except (ValueError, struct.error):
        return UPRIGHT
    if found is None:
        match = _XMP.search(_xmp(info))
        found = int(match[2]) if match else UPRIGHT
    return found if found in range(1, 9) else UPRIGHT


def _exif(info: Mapping[Any, Any]) -> bytes:
    exif, text = info.get("exif"), info.get("Raw profile type exif")
    if exif is None and isinstance(text, str):
        exif = bytes.fromhex("".join(text.split("\n")[3:]))
    return exif if isinstance(exif, bytes) else b""


def _xmp(info: Mapping[Any, Any]) -> bytes:
    xmp = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
    return xmp.encode(errors="replace") if isinstance(xmp, str) else bytes(xmp)


def _in_exif(exif: bytes) -> int | None:
    """Return the orientation in EXIF data, or None.

    Raises:
        ValueError: If the data is not EXIF.
        struct.error: If the data is too short.
    """
    start = 0
    while exif.startswith(_PREFIX, start):
        start += len(_PREFIX)
    tiff = memoryview(exif)[start:]
    if not tiff:
        return None
    order = _ORDERS.get(bytes(tiff[:4]))
    if order is None:
        raise ValueError("not EXIF")
    (at,) = struct.unpack_from(f"{order}L", tiff, 4)
    found = None
    if at + 2 > len(tiff):
        return None
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, values, place = struct.unpack_from(f"{order}HHLL", tiff, entry)
        size = values * _SIZES.get(kind, 0)
        if size > 4 and place + size > len(tiff):
            break
        if tag == _TAG and kind in _INTEGERS and 0 < size <= 4:
            (found,) = struct.unpack_from(order + _INTEGERS[kind], tiff, entry + 8)
    return found
