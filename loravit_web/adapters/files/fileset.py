"""Files of an adapter: three required ones, and an optional model card and thumbnail."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from loravit_web.adapters.files.format import FILES, MAX_BYTES, TASK_FILE, WEIGHTS_FILE, AdapterFormatError
from loravit_web.images.loading import ImageError, load_rgb

CARD_FILE = "README.md"
THUMBNAIL_FILE = "thumbnail.webp"
FILE_LIMITS: Mapping[str, int] = {**MAX_BYTES, CARD_FILE: 1 << 20, THUMBNAIL_FILE: 1 << 20}
"""Maximum size of each file in bytes."""
_THUMBNAIL_PIXELS = 1 << 20
_PICKLE = "adapter_model.bin"


class FilesMissing(AdapterFormatError):
    """A set of files without one that every adapter has."""


class PlainPeftAdapter(FilesMissing):
    """Files written by PEFT, without the facts that a catalog needs."""


def check_complete(names: Collection[str], what: str) -> None:
    """Check that all required files of an adapter are present.

    Args:
        names: Names of the files.
        what: Subject of the error's sentence, such as "The file".

    Raises:
        PlainPeftAdapter: If only ``task.json`` is missing.
        FilesMissing: If other files are missing.
    """
    missing = [name for name in FILES if name not in names]
    if WEIGHTS_FILE in missing and _PICKLE in names:
        raise FilesMissing(
            f"{what} stores its weights in {_PICKLE}, a pickle that could run any code. Save them as "
            f"{WEIGHTS_FILE}."
        )
    if missing == [TASK_FILE]:
        raise PlainPeftAdapter(
            f"{what} is a plain PEFT adapter without {TASK_FILE}, so its classes, base and preprocessing are "
            "unknown. Load it in Python with ViTFeatureExtractor.load_all_adapters, or train it here."
        )
    if missing:
        raise FilesMissing(f"{what} is not an adapter. Add the missing {' and '.join(missing)}.")


def check_size(name: str, size: int) -> None:
    """Check the size of a file against its limit.

    Args:
        name: Name of the file.
        size: Size in bytes.

    Raises:
        AdapterFormatError: If the file is too large.
    """
    if size > FILE_LIMITS[name]:
        raise AdapterFormatError(
            f"{name} is larger than {FILE_LIMITS[name] >> 20} MB. Export the adapter again."
        )


def check_optional(files: Mapping[str, bytes]) -> None:
    """Check the model card and the thumbnail if they are present, because browsers will show them.

    Raises:
        AdapterFormatError: If the card is not UTF-8, or the thumbnail is not a small WEBP image.
    """
    try:
        files.get(CARD_FILE, b"").decode()
    except UnicodeDecodeError as error:
        raise AdapterFormatError(f"{CARD_FILE} is not UTF-8 text. Save it in UTF-8.") from error
    thumbnail = files.get(THUMBNAIL_FILE)
    if thumbnail is None:
        return
    if thumbnail[:4] != b"RIFF" or thumbnail[8:12] != b"WEBP":
        raise AdapterFormatError(f"{THUMBNAIL_FILE} is not a WEBP image. Remove it, or create it again.")
    try:
        load_rgb(thumbnail, max_pixels=_THUMBNAIL_PIXELS)
    except ImageError as error:
        raise AdapterFormatError(f"{THUMBNAIL_FILE} cannot be shown. {error}") from error
