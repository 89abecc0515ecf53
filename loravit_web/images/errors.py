"""Why a file cannot be used as a picture: one class per cause."""

from __future__ import annotations

from loravit_web.errors import LoraVitError


class ImageError(LoraVitError):
    """A file that cannot be used as a picture."""


class UnreadableImage(ImageError):
    """Missing, empty, damaged, or no picture at all."""


class TruncatedImage(ImageError):
    """A picture whose file ends before its pixels do."""


class ImageTooLarge(ImageError):
    """More pixels than the limit allows; found before anything is decoded."""


class ImageTooComplex(ImageTooLarge):
    """A picture that takes more memory or steps to decode than one of its pixels should."""


class ImagesInUse(ImageError):
    """So many large pictures are being looked at that no memory for another one became free in time."""


class UnsupportedImage(ImageError):
    """A picture in a format that is not read here."""
