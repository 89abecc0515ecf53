"""`load_rgb`: the one way bytes become a picture, for training and serving alike."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from loravit_web.errors import LoraVitError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif"}
)
"""Lower-case file suffixes of the supported formats."""

MOST_PIXELS = 150_000_000
"""Width times height that no setting allows more of."""

MAX_PIXELS = 50_000_000
"""Width times height above which a picture is refused unless told otherwise."""

SUPPORTED = "JPEG, PNG, WEBP, BMP and GIF"
"""The supported formats in words."""


class ImageError(LoraVitError):
    """A file that cannot be used as a picture."""


class UnreadableImage(ImageError):
    """Missing, empty, damaged, or no picture at all."""


class TruncatedImage(ImageError):
    """A picture whose file ends before its pixels do."""


class ImageTooLarge(ImageError):
    """More pixels than the limit allows; found before anything is decoded."""


class UnsupportedImage(ImageError):
    """A picture in a format that is not read here."""


# Image.open warns about large pictures before their size can be checked, and a warning can only be
# silenced for the whole process; so the reader is chosen here by signature. A plain JPEG reader
# takes the first picture of an MPO, which is the photograph itself.
_READERS: tuple[tuple[bytes, str, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", "JPEG", JpegImageFile),
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

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_HEADER_BYTES = 1024

# What Pillow's readers raise on malformed input, as found in their sources.
_DECODER_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    struct.error,
    zlib.error,
)


def load_rgb(source: str | Path | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode one picture completely, upright and as 8-bit RGB without metadata.

    `source` is a path, the file's bytes, or a seekable binary stream (read from its start and left
    open). EXIF orientation is applied, transparency is laid on white, 16-bit grey is scaled to 8
    bits, and the first frame of an animation is taken. Safe to call from many threads.

    Raises UnreadableImage, TruncatedImage, ImageTooLarge or UnsupportedImage, all ImageError.
    """
    with _stream(source) as (stream, name):
        header = stream.read(_HEADER_BYTES)
        label, reader = _reader(header, name)
        stream.seek(0)
        try:
            picture = reader(stream)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_large(name, "more pixels", max_pixels) from error
        except _DECODER_FAILURES as error:
            raise _undecodable(name, label, error, _is_cut(stream, header)) from error
        width, height = picture.size
        if width * height > max_pixels:
            raise _too_large(name, f"{width}×{height} pixels", max_pixels)
        try:
            picture.load()
        except _DECODER_FAILURES as error:
            raise _undecodable(name, label, error, _is_cut(stream, header)) from error
    return to_rgb(_upright(picture))


def load_stored(path: Path) -> Image.Image:
    """`load_rgb` of a picture whose size was checked when it was taken in, whatever the limit is now."""
    return load_rgb(path, max_pixels=MOST_PIXELS)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow image as a new RGB image without metadata: transparency on white, deep grey scaled.

    Modes `I` and `I;16*` hold 16-bit values. Mode `F` holds 0..1, 0..255 or 0..65535, whichever is
    the smallest range that contains it. Raises UnsupportedImage for colour spaces Pillow cannot
    turn into RGB, UnreadableImage for values that are not numbers.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        rgb = _deep_grey(image).convert("RGB")
    elif image.has_transparency_data:
        rgba = image.convert("RGBA")
        rgb = Image.new("RGB", image.size, (255, 255, 255))
        rgb.paste(rgba, mask=rgba.getchannel("A"))
    elif image.mode == "RGB":
        rgb = image.copy()
    else:
        try:
            rgb = image.convert("RGB")
        except ValueError as error:
            raise UnsupportedImage(
                f"Pictures in the colour mode {image.mode} are not supported; convert this one to RGB."
            ) from error
    rgb.info = {}
    return rgb


def _deep_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float32)
    if not np.isfinite(values).all():
        raise UnreadableImage("The picture holds values that are not numbers; export it again.")
    top = 65535.0
    if image.mode == "F":
        peak = float(values.max())
        top = next((limit for limit in (1.0, 255.0) if peak <= limit), top)
    grey = np.rint(values.clip(0, top) * (255.0 / top)).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _upright(picture: ImageFile) -> Image.Image:
    try:
        orientation = picture.getexif().get(0x0112, 1)
    except _DECODER_FAILURES:
        # Cameras and editors do write broken EXIF; the pixels are whole, and viewers show them as stored.
        return picture
    if not isinstance(orientation, int) or orientation not in _TRANSPOSE:
        return picture
    return picture.transpose(_TRANSPOSE[orientation])


@contextmanager
def _stream(source: str | Path | bytes | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    if isinstance(source, bytes):
        yield BytesIO(source), "The file"
    elif isinstance(source, (str, Path)):
        path = Path(source)
        name = f"“{path.name}”"
        try:
            stream = path.open("rb")
        except (OSError, ValueError) as error:
            raise UnreadableImage(f"{name} cannot be opened; check that the file exists.") from error
        with stream:
            yield stream, name
    else:
        source.seek(0)
        yield source, "The file"


def _reader(header: bytes, name: str) -> tuple[str, type[ImageFile]]:
    if not header:
        raise UnreadableImage(f"{name} is empty; choose another file.")
    for signature, label, reader in _READERS:
        if header.startswith(signature):
            return label, reader
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WEBP", WebPImageFile
    foreign = _foreign_format(header)
    if foreign is None:
        raise UnreadableImage(f"{name} is not a picture; {SUPPORTED} files are supported.")
    raise UnsupportedImage(f"{name} is a {foreign} file, which is not supported; save it as JPEG or PNG.")


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


def _too_large(name: str, size: str, max_pixels: int) -> ImageTooLarge:
    return ImageTooLarge(
        f"{name} has {size}, over the limit of {max_pixels / 1e6:g} million pixels; make it smaller first."
    )


def _is_cut(stream: BinaryIO, header: bytes) -> bool:
    """Whether a WEBP file is shorter than it says; its decoder does not tell cut from damaged."""
    return header[:4] == b"RIFF" and stream.seek(0, SEEK_END) < int.from_bytes(header[4:8], "little") + 8


def _undecodable(name: str, label: str, error: Exception, cut: bool) -> ImageError:
    if cut or "truncated" in str(error).lower() or isinstance(error, EOFError):
        return TruncatedImage(
            f"{name} is incomplete: its {label} data ends too early; copy or export it again."
        )
    return UnreadableImage(f"{name} is damaged: its {label} data cannot be decoded; export it again.")


def encode_webp(image: Image.Image, *, quality: int = 82) -> bytes:
    """A picture as a small WEBP file without metadata."""
    buffer = BytesIO()
    image.save(buffer, format="WEBP", quality=quality)
    return buffer.getvalue()
