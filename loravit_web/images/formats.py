"""Detection of a file's format by its first bytes, and Pillow's reader for it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from loravit_web.images.errors import UnreadableImage, UnsupportedImage
from loravit_web.images.iso import AvifFile, avif_is_supported, brand_of, heic_reader
from loravit_web.images.tiff import TiffFile
from loravit_web.util.text import listed

_USUAL = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif")
IMAGE_SUFFIXES = frozenset(
    [*_USUAL, ".tif", ".tiff"]
    + ([".avif", ".avifs"] if avif_is_supported() else [])
    + ([".heic", ".heif", ".hif"] if heic_reader() is not None else [])
)
"""Lower-case file suffixes of the supported formats."""

SUPPORTED = listed(
    ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"]
    + (["AVIF"] if avif_is_supported() else [])
    + (["HEIC"] if heic_reader() is not None else []),
    most=9,
)
"""The supported formats in words."""


class _Jpeg(JpegImageFile):
    """JPEG reader that ignores EXIF, of which Pillow copies every entry when it reads the resolution."""

    def _read_dpi_from_exif(self) -> None:
        pass


# Image.open warns about large images before their size can be checked, and a warning can only be
# silenced for the whole process, so the reader is chosen here by signature. The plain JPEG reader
# takes the first image of an MPO, which is the photograph itself.
_READERS: tuple[tuple[bytes, str, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", "JPEG", _Jpeg),
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImageFile),
    (b"GIF87a", "GIF", GifImageFile),
    (b"GIF89a", "GIF", GifImageFile),
    (b"BM", "BMP", BmpImageFile),
    *((signature, "TIFF", TiffFile) for signature in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")),
)

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"\x00\x00\x00\x0cjP", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL", "JPEG XL"),
    (b"PK\x03\x04", "ZIP"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"icns", "ICNS"),
    (b"BLP1", "BLP"),
    (b"BLP2", "BLP"),
    (b"SIMPLE  =", "FITS"),
    (b"gimp xcf", "GIMP"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"\x01\xda", "SGI"),
    *((f"P{number}{end}".encode(), "PNM") for number in range(1, 8) for end in "\n\r\t "),
)
_WITH_AN = frozenset({"icon", "HTML", "ICNS", "OpenEXR", "SGI", "SVG"})

READABLE = frozenset(
    {
        "WEBP",
        *(label for _, label, _ in _READERS),
        *(["AVIF"] if avif_is_supported() else []),
        *(["HEIC"] if heic_reader() is not None else []),
    }
)
"""Names of the formats that can be read."""

_RAW = "camera raw"
RAW_SUFFIXES = frozenset(
    [".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"]
)
"""Suffixes of camera raw files, many of which are TIFFs whose first image is a thumbnail."""
FOREIGN_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
        **dict.fromkeys((".avif", ".avifs"), "AVIF"),
        **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpf"), "JPEG 2000"),
        **dict.fromkeys(sorted(RAW_SUFFIXES), _RAW),
        **dict.fromkeys((".dcm", ".dicom"), "DICOM"),
        ".jxl": "JPEG XL",
        ".psd": "Photoshop",
        ".svg": "SVG",
        ".ico": "icon",
        ".pdf": "PDF",
        ".eps": "PostScript",
        ".exr": "OpenEXR",
        ".hdr": "Radiance HDR",
        ".nii": "NIfTI",
        **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PNM"),
        ".tga": "TGA",
    }
)
"""Name of a format that cannot be read, by the lower-case suffix of its files."""


def foreign_reason(label: str) -> str:
    """Return why a file of a format that cannot be read is skipped, as a phrase."""
    if label == "HEIC":
        return (
            "it is a HEIC image, which needs the package pillow-heif. Install it with pip install "
            "'loravit-web[heic]', or export the image as JPEG"
        )
    article = "an" if label in _WITH_AN else "a"
    return f"it is {article} {label} file, which is not supported. Save it as JPEG or PNG"


def reader_of(header: bytes, name: str) -> tuple[str, type[ImageFile]]:
    """Return the name of a file's format and Pillow's reader for it.

    Args:
        header: First bytes of the file.
        name: Name of the file, as the subject of an error.

    Raises:
        UnreadableImage: If the file is empty, or nothing tells that it is an image.
        UnsupportedImage: If it is an image in another format.
    """
    if not header:
        raise UnreadableImage(f"{name} is empty. Choose another file.")
    for signature, label, reader in _READERS:
        if header.startswith(signature):
            return label, reader
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WEBP", WebPImageFile
    brand = brand_of(header)
    if brand == "AVIF" and avif_is_supported():
        return brand, AvifFile
    heic = heic_reader() if brand == "HEIC" else None
    if heic is not None:
        return "HEIC", heic
    foreign = _foreign_format(header)
    if foreign is None:
        choices = SUPPORTED.replace(" and ", " or ")
        raise UnreadableImage(f"{name} is not an image that the app can read. Choose a {choices} file.")
    raise UnsupportedImage(f"{name}: {foreign_reason(foreign)}.".replace(": it is", " is", 1))


def sniffed(header: bytes) -> str | None:
    """Return the name of the format that the first bytes of a file show, supported or not, or None."""
    for signature, label, _reader in _READERS:
        if header.startswith(signature):
            return label
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WEBP"
    return _foreign_format(header)


def _foreign_format(header: bytes) -> str | None:
    for signature, label in _FOREIGN:
        if header.startswith(signature):
            return label
    if header[4:8] == b"ftyp":
        return brand_of(header) or "video"
    text = header.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<") and b"<svg" in text:
        return "SVG"
    if text.startswith((b"<!doctype html", b"<html")):
        return "HTML"
    return None
