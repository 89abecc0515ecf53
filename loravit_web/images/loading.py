"""Decoding of images: `load_rgb` is used for training and inference alike."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from PIL.ImageFile import ImageFile

from loravit_web.images.conversion import reduced_rgb, to_rgb
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
from loravit_web.images.headers import read_header
from loravit_web.images.memory_pool import Lease, MemoryPool, PoolTimeout
from loravit_web.images.orientation import orientation
from loravit_web.images.parts import Header, HeaderCut, Overloaded
from loravit_web.images.png_texts import TEXT_LIMITS, without_texts
from loravit_web.util import heap

__all__ = [
    "DECODING_POOL",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "REDUCED_ABOVE",
    "SMALL_POOL",
    "SUPPORTED",
    "ImageError",
    "ImageTooComplex",
    "ImageTooLarge",
    "ImagesInUse",
    "TruncatedImage",
    "UnreadableImage",
    "UnsupportedImage",
    "encode_webp",
    "image_bytes",
    "load_described",
    "load_rgb",
    "load_stored",
    "load_tracked",
    "to_rgb",
]

LARGEST_MAX_PIXELS = 150_000_000
"""Maximum number of pixels that a setting can allow."""

MAX_PIXELS = 50_000_000
"""Default maximum number of pixels."""

MAX_SIDE = 65_535
"""Maximum width and height in pixels, as in JPEG and GIF."""

REDUCED_ABOVE = 25_000_000
"""Number of pixels above which an image is reduced by an integer factor when it is decoded."""

BYTES_PER_PIXEL, METADATA_BYTES = 5, 16 << 20
"""Maximum memory for decoding, in bytes per allowed pixel, and for metadata.

Pillow stores four bytes per pixel. The fifth is for the reduced copy of a large image, a quarter of its size.
"""

SMALL_POOL = MemoryPool(60_000_000)
DECODING_POOL = MemoryPool(BYTES_PER_PIXEL * MAX_PIXELS - SMALL_POOL.budget)
"""Memory for images that are being decoded or that belong to a waiting request.

Images that need at most half of the small pool use only that pool, so photographs do not wait for very large
images.
"""

POOL_TIMEOUT = 120.0
"""Seconds that a request waits for this memory."""

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
_TRIM_ABOVE = 16 << 20
"""Size in bytes from which memory is returned to the system. It takes a few ms, a tenth of the decoding."""

# Errors that Pillow's readers raise for malformed input, from their sources.
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
    """Decode an image completely as upright 8-bit RGB without metadata.

    EXIF orientation is applied, transparency is put on white, gray of more than 8 bits is scaled to 8 bits,
    and of an animation or of several pages the first one is used. An image of more than `REDUCED_ABOVE`
    pixels is reduced to a half or a third of its sides. Thread-safe: waits while other threads use all of
    `DECODING_POOL`.

    Args:
        source: Path of the file, its bytes, or a seekable binary stream, which is read from its start and
            left open.
        max_pixels: Maximum number of pixels.

    Returns:
        The RGB image.

    Raises:
        ImageError: If the file cannot be read, is damaged, too large or in an unsupported format.
    """
    return load_described(source, max_pixels=max_pixels)[0]


def load_described(
    source: str | Path | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS
) -> tuple[Image.Image, Header]:
    """Decode an image, and return its header too; see `load_rgb`."""
    image, lease, header = _load(source, max_pixels, checked=False, timeout=None)
    lease.release()
    return image, header


def load_tracked(source: str | Path | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image whose memory is accounted for as long as the image exists; see `load_rgb`.

    A thread must not hold one such image while it loads another, because it could wait for itself.

    Args:
        source: Path of the file, its bytes, or a seekable binary stream.
        max_pixels: Maximum number of pixels.

    Raises:
        ImageError: As in `load_rgb`; ImagesInUse if no memory became free in `POOL_TIMEOUT` seconds.
    """
    image, lease, _header = _load(source, max_pixels, checked=False, timeout=POOL_TIMEOUT)
    _track(lease, image)
    return image


def load_stored(path: Path, *, tracked: bool = False) -> Image.Image:
    """Decode a stored image regardless of the current limit, because its size was checked on import.

    Args:
        path: File of the image.
        tracked: Whether its memory is accounted for as long as the image exists, as in `load_tracked`.
    """
    image, lease, _header = _load(path, LARGEST_MAX_PIXELS, checked=True, timeout=None)
    if tracked:
        _track(lease, image)
    else:
        lease.release()
    return image


def _pool_for(size: int) -> MemoryPool:
    return SMALL_POOL if size <= SMALL_POOL.budget // 2 else DECODING_POOL


def _track(lease: Lease, image: Image.Image) -> None:
    lease.shrink(image_bytes(image))
    lease.release_with(image)


def image_bytes(image: Image.Image) -> int:
    """Return the size of an RGB image in Pillow's memory, in bytes."""
    return 4 * image.width * image.height


def _load(
    source: str | Path | bytes | BinaryIO, max_pixels: int, *, checked: bool, timeout: float | None
) -> tuple[Image.Image, Lease, Header]:
    """Return the image, the lease of the memory for its decoding, and its header.

    Args:
        source: Path of the file, its bytes, or a stream.
        max_pixels: Maximum number of pixels.
        checked: Whether the image was checked on import, so that only its pixels are limited.
        timeout: Seconds to wait for memory, or None to wait without limit.
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
        _check_size(
            name, header.width, header.height, max_pixels, LARGEST_MAX_PIXELS if checked else MAX_SIDE
        )
        needed = _memory(header)
        if not checked and needed > BYTES_PER_PIXEL * max_pixels + METADATA_BYTES:
            raise ImageTooComplex(
                f"{name} has {header.width}×{header.height} pixels in a kind of {label} that takes too much "
                "memory. Make it smaller, or save it as a plain JPEG."
            )
        try:
            lease = _pool_for(needed).acquire(needed, timeout=timeout)
        except PoolTimeout as error:
            raise ImagesInUse("The server is busy with large images. Please try again later.") from error
        try:
            with _trimmed(needed):
                return _decoded(stream, name, label, reader, header), lease, header
        except _DECODER_FAILURES as error:
            lease.release()
            raise _undecodable(name, label, error, _is_cut(stream, head)) from error
        except BaseException:
            lease.release()
            raise


@contextmanager
def _trimmed(needed: int) -> Iterator[None]:
    """Return freed memory to the system before and after a decoding that needs much memory."""
    if needed >= _TRIM_ABOVE:
        heap.trim()
    try:
        yield
    finally:
        if needed >= _TRIM_ABOVE:
            heap.trim()


def _check_size(name: str, width: int, height: int, max_pixels: int, max_side: int) -> None:
    if width * height > max_pixels:
        raise _too_large(name, f"{width}×{height} pixels", max_pixels)
    if max(width, height) > max_side:
        raise ImageTooLarge(
            f"{name} has {width}×{height} pixels, and the maximum side is {max_side}. Cut it into parts."
        )


def _memory(header: Header) -> int:
    """Return the measured maximum number of bytes from opening a file to its RGB image."""
    pixels, factor = header.width * header.height, _factor(header.width, header.height)
    rest = 4 * -(-header.width // factor) * -(-header.height // factor)
    stored = header.stored * pixels
    if factor > 1 and header.halves:
        stored = header.stored * -(-header.width // 2) * -(-header.height // 2)
    converting = stored + header.kept + (0 if header.plain and factor == 1 else rest)
    turning = 2 * rest if header.rotated else 0
    return header.metadata_bytes + max(stored + header.working + header.kept, converting, turning)


def _factor(width: int, height: int) -> int:
    """Return the smallest integer by which the sides of an image are divided."""
    factor = 1
    while width * height > REDUCED_ABOVE * factor**2:
        factor += 1
    return factor


def _decoded(stream: BinaryIO, name: str, label: str, reader: type[ImageFile], header: Header) -> Image.Image:
    try:
        return _decoded_once(stream, name, label, reader, header)
    except ValueError as error:
        if label != "PNG" or not str(error).startswith(TEXT_LIMITS):
            raise
        return _decoded_once(without_texts(stream), name, label, reader, header)


def _decoded_once(
    stream: BinaryIO, name: str, label: str, reader: type[ImageFile], header: Header
) -> Image.Image:
    stream.seek(0)
    try:
        image = reader(stream)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, "too many pixels", LARGEST_MAX_PIXELS) from error
    sides = zip(sorted(image.size), sorted((header.width, header.height)), strict=True)
    is_within = label == "HEIC" and all(side <= stated for side, stated in sides)  # turned or cropped
    if image.size != (header.width, header.height) and not is_within:
        raise UnreadableImage(
            f"{name} is damaged: its {label} header has two different sizes. Export it again."
        )
    factor = _factor(*image.size)
    if factor > 1 and header.halves:
        image.draft(None, (header.width // 2, header.height // 2))  # Pillow rounds up
    image.load()
    stated = header.orientation or getattr(image, "turned", None)
    turn = _TRANSPOSE.get(stated if stated is not None else orientation(image.info))
    rgb = reduced_rgb(image, _factor(*image.size), header.depth)
    del image
    return rgb.transpose(turn) if turn is not None else rgb


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
            raise UnreadableImage(f"{name} cannot be opened. Check that the file exists.") from error
        with stream:
            yield stream, name
    else:
        source.seek(0)
        yield source, "The file"


def _too_large(name: str, size: str, max_pixels: int) -> ImageTooLarge:
    return ImageTooLarge(
        f"{name} has {size}, and the limit is {max_pixels / 1e6:g} million pixels. Make it smaller first."
    )


def _is_cut(stream: BinaryIO, header: bytes) -> bool:
    """Return whether a WEBP file is shorter than its header says, because its decoder does not tell."""
    return header[:4] == b"RIFF" and stream.seek(0, SEEK_END) < int.from_bytes(header[4:8], "little") + 8


def _undecodable(name: str, label: str, error: Exception, cut: bool) -> ImageError:
    if cut or "truncated" in str(error).lower() or isinstance(error, EOFError):
        return TruncatedImage(
            f"{name} is incomplete: its {label} data ends too early. Copy or export it again."
        )
    return UnreadableImage(f"{name} is damaged: its {label} data cannot be decoded. Export it again.")


def encode_webp(image: Image.Image, *, quality: int = 82) -> bytes:
    """Return an image as a WEBP file without metadata.

    Args:
        image: Image to encode.
        quality: Quality of the compression, 0 to 100.
    """
    buffer = BytesIO()
    image.save(buffer, format="WEBP", quality=quality)
    return buffer.getvalue()
