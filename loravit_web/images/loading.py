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
from PIL.ImageFile import ImageFile

from loravit_web.images.errors import (
    ImageError,
    ImagesInUse,
    ImageTooComplex,
    ImageTooLarge,
    TruncatedImage,
    UnreadableImage,
    UnsupportedImage,
)
from loravit_web.images.formats import IMAGE_SUFFIXES, SUPPORTED, reader_of
from loravit_web.images.headers import Header, HeaderCut, Overloaded, read_header
from loravit_web.images.orientation import orientation
from loravit_web.images.room import Lease, Room, RoomTimeout
from loravit_web.util import heap

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "REDUCED_ABOVE",
    "ROOM",
    "SMALL_ROOM",
    "SUPPORTED",
    "ImageError",
    "ImageTooComplex",
    "ImageTooLarge",
    "ImagesInUse",
    "TruncatedImage",
    "UnreadableImage",
    "UnsupportedImage",
    "encode_webp",
    "load_counted",
    "load_rgb",
    "load_stored",
    "memory_of",
    "to_rgb",
]

MOST_PIXELS = 150_000_000
"""Width times height that no setting allows more of."""

MAX_PIXELS = 50_000_000
"""Width times height above which a picture is refused unless told otherwise."""

MOST_SIDE = 65_535
"""Width or height that no picture may exceed: what JPEG and GIF hold at most."""

REDUCED_ABOVE = 25_000_000
"""Width times height above which a picture is made smaller by a whole number as it is decoded."""

BYTES_PER_PIXEL, BESIDE = 5, 16 << 20
"""Memory that decoding a picture may take for each pixel that is allowed, and for metadata beside them.

Four bytes are what Pillow stores of a pixel, the fifth is a quarter of them: what is left of a large picture.
"""

SMALL_ROOM = Room(60_000_000)
ROOM = Room(BYTES_PER_PIXEL * MAX_PIXELS - SMALL_ROOM.budget)
"""Memory of this process for pictures that are being decoded, or that people wait to have answered.

Pictures that take at most half of the small one have it to themselves, so that a photograph does not wait
behind all that are many times as large.
"""

PATIENCE = 120.0
"""Seconds that somebody who waits for an answer waits for that memory."""

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
_MUCH = 16 << 20
"""Bytes; giving memory back takes a few milliseconds, decoding so much ten times as long."""
_STRIP = 1 << 18
"""Pixels that are converted at once."""

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
    bits, and the first frame of an animation is taken. A picture of more than `REDUCED_ABOVE` pixels
    comes out at a half or a third of its sides. Safe to call from many threads: waits while others
    decode as much as fits into `ROOM`.

    Raises UnreadableImage, TruncatedImage, ImageTooLarge or UnsupportedImage, all ImageError.
    """
    picture, lease = _load(source, max_pixels, checked=False, timeout=None)
    lease.release()
    return picture


def load_counted(source: str | Path | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """`load_rgb` of a picture that counts as long as anybody holds it.

    For threads that look at one picture at a time: whoever holds one while it loads another one may wait
    for itself. Raises ImagesInUse too, after `PATIENCE` seconds.
    """
    picture, lease = _load(source, max_pixels, checked=False, timeout=PATIENCE)
    _count(lease, picture)
    return picture


def load_stored(path: Path, *, counted: bool = False) -> Image.Image:
    """`load_rgb` of a picture whose size was checked when it was taken in, whatever the limit is now.

    Args:
        counted: whether it counts as long as anybody holds it, as in `load_counted`.
    """
    picture, lease = _load(path, MOST_PIXELS, checked=True, timeout=None)
    if counted:
        _count(lease, picture)
    else:
        lease.release()
    return picture


def _room_for(size: int) -> Room:
    return SMALL_ROOM if size <= SMALL_ROOM.budget // 2 else ROOM


def _count(lease: Lease, picture: Image.Image) -> None:
    lease.shrink(memory_of(picture))
    lease.last_as_long_as(picture)


def memory_of(picture: Image.Image) -> int:
    """Bytes that an RGB picture takes in Pillow."""
    return 4 * picture.width * picture.height


def _load(
    source: str | Path | bytes | BinaryIO, max_pixels: int, *, checked: bool, timeout: float | None
) -> tuple[Image.Image, Lease]:
    """The picture, and the memory that decoding it took.

    Args:
        checked: whether it was taken in before, so that only its pixels are counted.
    """
    with _stream(source) as (stream, name):
        head = stream.read(_HEADER_BYTES)
        label, reader = reader_of(head, name)
        stream.seek(0)
        try:
            header = read_header(stream, label)
        except Overloaded as error:
            raise ImageTooComplex(
                f"{name} cannot be used: this {label} has {error}. Save it again as a plain JPEG or PNG."
            ) from error
        except _DECODER_FAILURES as error:
            cut = isinstance(error, HeaderCut) and len(head) == _HEADER_BYTES
            raise _undecodable(name, label, error, cut or _is_cut(stream, head)) from error
        _check_size(name, header.width, header.height, max_pixels, MOST_PIXELS if checked else MOST_SIDE)
        taken = _memory(header)
        if not checked and taken > BYTES_PER_PIXEL * max_pixels + BESIDE:
            raise ImageTooComplex(
                f"{name} has {header.width}×{header.height} pixels in a kind of {label} that takes too much "
                "memory. Make it smaller, or save it as a plain JPEG."
            )
        try:
            lease = _room_for(taken).take(taken, timeout=timeout)
        except RoomTimeout as error:
            raise ImagesInUse("The server is busy with large images. Please try again later.") from error
        try:
            with _trimmed(taken):
                return _decoded(stream, name, label, reader, header), lease
        except _DECODER_FAILURES as error:
            lease.release()
            raise _undecodable(name, label, error, _is_cut(stream, head)) from error
        except BaseException:
            lease.release()
            raise


@contextmanager
def _trimmed(taken: int) -> Iterator[None]:
    """Before much memory is used, what others have freed is given back, and afterwards what is free then."""
    if taken >= _MUCH:
        heap.trim()
    try:
        yield
    finally:
        if taken >= _MUCH:
            heap.trim()


def _check_size(name: str, width: int, height: int, max_pixels: int, most_side: int) -> None:
    if width * height > max_pixels:
        raise _too_large(name, f"{width}×{height} pixels", max_pixels)
    if max(width, height) > most_side:
        raise ImageTooLarge(
            f"{name} has {width}×{height} pixels, and no side may have over {most_side}. Cut it into parts."
        )


def _memory(header: Header) -> int:
    """The most bytes that are taken at once from opening a file to its RGB picture, as it was measured."""
    pixels, factor = header.width * header.height, _factor(header.width, header.height)
    rest = 4 * -(-header.width // factor) * -(-header.height // factor)
    stored = header.stored * pixels
    if factor > 1 and header.halves:
        stored = header.stored * -(-header.width // 2) * -(-header.height // 2)
    converting = stored + header.kept + (0 if header.plain and factor == 1 else rest)
    turning = 2 * rest if header.turned else 0
    return header.beside + max(stored + header.working + header.kept, converting, turning)


def _factor(width: int, height: int) -> int:
    """The smallest whole number by which the sides of a picture are divided."""
    factor = 1
    while width * height > REDUCED_ABOVE * factor**2:
        factor += 1
    return factor


def _decoded(stream: BinaryIO, name: str, label: str, reader: type[ImageFile], header: Header) -> Image.Image:
    stream.seek(0)
    try:
        picture = reader(stream)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, "more pixels", MOST_PIXELS) from error
    if picture.size != (header.width, header.height):
        raise UnreadableImage(f"{name} is damaged: its {label} header gives two sizes; export it again.")
    factor = _factor(*picture.size)
    if factor > 1 and header.halves:
        picture.draft(None, (header.width // 2, header.height // 2))  # rounded up there
    picture.load()
    turn = _TRANSPOSE.get(orientation(picture.info))
    rgb = _rgb(picture, _factor(*picture.size))
    del picture
    return rgb.transpose(turn) if turn is not None else rgb


def _rgb(picture: ImageFile, factor: int) -> Image.Image:
    """A decoded picture as RGB with its sides divided, a strip at a time, so that one copy is made of it."""
    if picture.mode == "RGB" and not picture.has_transparency_data:
        rgb = picture.reduce(factor) if factor > 1 else picture._new(picture.im)  # shares the pixels
        rgb.info = {}
        return rgb
    width, height = picture.size
    rows = max(1, _STRIP // (width * factor)) * factor
    if rows >= height:
        return to_rgb(picture).reduce(factor)
    rgb = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        strip = to_rgb(picture.crop((0, top, width, min(top + rows, height))))
        rgb.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
    return rgb


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
