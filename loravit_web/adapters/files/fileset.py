"""Which files an adapter has: the three it is made of, and beside them a card and a picture for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from loravit_web.adapters.files.format import FILES, MAX_BYTES, TASK_FILE, WEIGHTS_FILE, AdapterFormatError
from loravit_web.images.loading import ImageError, load_rgb

CARD_FILE = "README.md"
THUMBNAIL_FILE = "thumbnail.webp"
FILE_LIMITS: Mapping[str, int] = {**MAX_BYTES, CARD_FILE: 1 << 20, THUMBNAIL_FILE: 1 << 20}
_THUMBNAIL_PIXELS = 1 << 20
_PICKLE = "adapter_model.bin"


class FilesMissing(AdapterFormatError):
    """A set of files that lacks one that every adapter has."""


class PlainPeftAdapter(FilesMissing):
    """Files of PEFT alone, without what a catalog has to know beside them."""


def check_complete(names: Collection[str], what: str) -> None:
    """Look for the files that every adapter has.

    Args:
        names: of the files that are there.
        what: they are, to begin a sentence with.

    Raises:
        PlainPeftAdapter, FilesMissing: with what is missing and what would be needed.
    """
    missing = [name for name in FILES if name not in names]
    if WEIGHTS_FILE in missing and _PICKLE in names:
        raise FilesMissing(
            f"{what} holds its weights as {_PICKLE}, a pickle, which could run any code: save them as "
            f"{WEIGHTS_FILE}."
        )
    if missing == [TASK_FILE]:
        raise PlainPeftAdapter(
            f"{what} is a plain PEFT adapter: without {TASK_FILE} its classes, its base's weights and its "
            "preprocessing are unknown; load it in Python with ViTFeatureExtractor.load_all_adapters, or "
            "train it here."
        )
    if missing:
        raise FilesMissing(f"{what} is no adapter: it lacks {' and '.join(missing)}.")


def check_size(name: str, size: int) -> None:
    """Compare a file with its limit.

    Raises:
        AdapterFormatError: if it is larger.
    """
    if size > FILE_LIMITS[name]:
        raise AdapterFormatError(f"{name} is larger than {FILE_LIMITS[name] >> 20} MB, the most it may have.")


def check_optional(files: Mapping[str, bytes]) -> None:
    """Look into the card and the thumbnail, where they are there: browsers and people will read them.

    Raises:
        AdapterFormatError: if one is not what its name says.
    """
    try:
        files.get(CARD_FILE, b"").decode()
    except UnicodeDecodeError as error:
        raise AdapterFormatError(f"{CARD_FILE} is not text in UTF-8: write the card anew.") from error
    thumbnail = files.get(THUMBNAIL_FILE)
    if thumbnail is None:
        return
    if thumbnail[:4] != b"RIFF" or thumbnail[8:12] != b"WEBP":
        raise AdapterFormatError(f"{THUMBNAIL_FILE} is no WEBP picture: leave it out or make it anew.")
    try:
        load_rgb(thumbnail, max_pixels=_THUMBNAIL_PIXELS)
    except ImageError as error:
        raise AdapterFormatError(f"{THUMBNAIL_FILE} can't be shown: {error}") from error
