"""Header of an image file: what decoding will cost, and why a header is refused."""

from __future__ import annotations

from dataclasses import dataclass

MAX_METADATA = 16 << 20
"""Maximum size of metadata in bytes: profiles, EXIF, XMP with a depth map, comments."""


class HeaderCut(ValueError):
    """The file ends inside its header."""


class HeaderBroken(ValueError):
    """The header is invalid."""


class Overloaded(Exception):
    """The file has too much data besides its pixels; the text names it."""


@dataclass(frozen=True, slots=True)
class Header:
    """Costs of decoding a file.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        stored: Bytes per pixel of the decoded image in Pillow's memory.
        working: Further bytes that the decoder needs while it runs.
        kept: Further bytes that Pillow holds while the image is open.
        metadata_bytes: Bytes of metadata and copies of the file.
        rotated: Whether metadata may rotate the image.
        plain: Whether it is decoded to RGB without transparency.
        halves: Whether the decoder can reduce the sides to a half or a quarter.
        orientation: Orientation that the header states, 1 to 8, or None if the metadata may state one.
        depth: Bits per value, if the header states them.
        has_more_pages: Whether other images follow that are not read.
    """

    width: int
    height: int
    stored: int
    working: int = 0
    kept: int = 0
    metadata_bytes: int = 0
    rotated: bool = False
    plain: bool = False
    halves: bool = False
    orientation: int | None = None
    depth: int | None = None
    has_more_pages: bool = False
