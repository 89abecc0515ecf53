"""Conversion of decoded images of any mode to 8-bit RGB."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from loravit_web.images.errors import UnreadableImage, UnsupportedImage
from loravit_web.images.whites import LEVELS, Kind, Levels

_STRIP = 1 << 18
"""Number of pixels that are converted at once."""
_USUAL_TOPS = (1023.0, 4095.0, 16383.0, 65535.0)
INTEGER_TOPS = (*_USUAL_TOPS, *(float((1 << bits) - 1) for bits in (18, 20, 24, 28)))
"""Largest values of 10, 12, 14, 16 and more bits. Cameras and scanners store fewer bits in larger values."""
FLOAT_TOPS = (1.0, 255.0, *_USUAL_TOPS)

Range = tuple[float, float]
"""Values that become black and white."""


def reduced_rgb(image: ImageFile, factor: int, depth: int | None = None) -> Image.Image:
    """Return a decoded image as reduced RGB, converted in strips so that only one copy is made.

    Args:
        image: Decoded image.
        factor: Integer by which the sides are divided.
        depth: Bits per value that the file states, or None.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        rgb = image.reduce(factor) if factor > 1 else image._new(image.im)  # shares the pixels
        rgb.info = {}
        return rgb
    width, height = image.size
    rows = max(1, _STRIP // (width * factor)) * factor
    within = value_range(image, depth) if is_deep(image) else None
    if rows >= height:
        return _marked(to_rgb(image, within).reduce(factor), image, within)
    rgb = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        strip = to_rgb(image.crop((0, top, width, min(top + rows, height))), within)
        rgb.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
    return _marked(rgb, image, within)


def _marked(rgb: Image.Image, image: Image.Image, within: Range | None) -> Image.Image:
    """Return an RGB image with the levels of the deep image that it was made of, if it was."""
    kind: Kind = "decimal" if image.mode == "F" else "integer"
    rgb.info = {} if within is None else {LEVELS: Levels(kind, *within)}
    return rgb


def is_deep(image: Image.Image) -> bool:
    """Return whether an image has one channel of more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def to_rgb(image: Image.Image, within: Range | None = None) -> Image.Image:
    """Return any Pillow image as a new RGB image without metadata.

    Transparency is put on white. Deep images are scaled from their range; see `value_range`. Their levels are
    in `info`.

    Args:
        image: Image of any mode.
        within: Range of a deep image of which this is a part, or None for its own range.

    Raises:
        UnsupportedImage: If Pillow cannot convert the color space to RGB.
        UnreadableImage: If values are not finite.
    """
    if is_deep(image):
        within = within or value_range(image)
        return _marked(_gray(image, within).convert("RGB"), image, within)
    if image.has_transparency_data:
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
                f"Images in the color mode {image.mode} are not supported. Convert the image to RGB."
            ) from error
    rgb.info = {}
    return rgb


def value_range(image: Image.Image, depth: int | None = None) -> Range:
    """Return the values of a deep image that become black and white.

    White is the largest value of the fewest bits that contain the image: 10, 12, 14, 16, 18, 20, 24 or 28.
    For floats it is 1.0, 255, or that of at most 16 bits. So 12 bits in a file of 16 bits are as bright as in
    a file of 12 bits, in training and in answers. Larger values, and values below zero, span the range from
    the smallest to the largest one.

    Args:
        image: Image with one channel of more than 8 bits.
        depth: Bits per value that the file states, or None.

    Raises:
        UnreadableImage: If values are not finite.
    """
    low, high = 0.0, 0.0
    for values in _strips(image):
        if not np.isfinite(values).all():
            raise UnreadableImage("The image has values that are not finite. Export it again.")
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    stated = float((1 << depth) - 1) if depth is not None and 8 < depth < 16 else 0.0
    tops = FLOAT_TOPS if image.mode == "F" else INTEGER_TOPS
    top = next((limit for limit in tops if max(high, stated) <= limit), high)
    return (low, max(high, low + 1.0)) if low < 0 else (0.0, top)


def _strips(image: Image.Image) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    width, height = image.size
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        yield np.asarray(image.crop((0, top, width, min(top + rows, height)))).astype(np.float32)


def _gray(image: Image.Image, within: Range) -> Image.Image:
    values = np.asarray(image).astype(np.float32)
    low, high = within
    gray = np.rint((values.clip(low, high) - low) * (255.0 / (high - low))).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray[values == transparent] = 255
    return Image.fromarray(gray)
