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

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif"}
)
"""Lower-case file suffixes of the supported formats."""

SUPPORTED = "JPEG, PNG, WEBP, BMP and GIF"
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
)

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"\x00\x00\x00\x0cjP", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL", "JPEG XL"),
    (b"PK\x03\x04", "ZIP"),
)

READABLE = frozenset({"WEBP", *(label for _, label, _ in _READERS)})
"""Names of the formats that can be read."""

_RAW = "camera raw"
FOREIGN_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((".tif", ".tiff"), "TIFF"),
        **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
        **dict.fromkeys((".avif", ".avifs"), "AVIF"),
        **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpf"), "JPEG 2000"),
        **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef"), _RAW),
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
        return "it is a HEIC image, which is not supported. Export it as JPEG"
    return f"it is a {label} file, which is not supported. Save it as JPEG or PNG"


_ISO_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
}


def reader_of(header: bytes, name: str) -> tuple[str, type[ImageFile]]:
    """Return the name of a file's format and Pillow's reader for it.

    Args:
        header: First bytes of the file.
        name: Name of the file, as the subject of an error.

    Raises:
        UnreadableImage: If the file is empty or not an image.
        UnsupportedImage: If it is an image in another format.
    """
    if not header:
        raise UnreadableImage(f"{name} is empty. Choose another file.")
    for signature, label, reader in _READERS:
        if header.startswith(signature):
            return label, reader
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WEBP", WebPImageFile
    foreign = _foreign_format(header)
    if foreign is None:
        raise UnreadableImage(f"{name} is not an image. Choose a {SUPPORTED.replace(' and ', ' or ')} file.")
    raise UnsupportedImage(f"{name} is a {foreign} file, which is not supported. Save it as JPEG or PNG.")


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
        return _ISO_BRANDS.get(header[8:12], "video")
    text = header.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<") and b"<svg" in text:
        return "SVG"
    if text.startswith((b"<!doctype html", b"<html")):
        return "HTML"
    return None
