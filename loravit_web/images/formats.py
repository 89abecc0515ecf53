"""Detection of a file's format by its first bytes, and Pillow's reader for it."""

from __future__ import annotations

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
