"""Errors of image files, one class per cause."""

from __future__ import annotations

from loravit_web.errors import LoraVitError


class ImageError(LoraVitError):
    """A file that cannot be used as an image."""


class UnreadableImage(ImageError):
    """A file that is missing, empty, damaged, or not an image."""


class TruncatedImage(ImageError):
    """An image file that ends before its pixels do."""


class ImageTooLarge(ImageError):
    """An image with more pixels than the limit, found before it is decoded."""


class ImageTooComplex(ImageTooLarge):
    """An image whose decoding needs too much memory or too many steps for its number of pixels."""


class ImagesInUse(ImageError):
    """No memory for another large image became free in time."""


class UnsupportedImage(ImageError):
    """An image in a format that is not supported."""
