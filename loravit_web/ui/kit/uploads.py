"""Uploaded files, and the folder that contains them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from loravit_web.errors import LoraVitError
from loravit_web.ui.language.texts import _
from loravit_web.visibility import Seen


class UnreadableUpload(LoraVitError):
    """An image argument that is not an uploaded file."""


def upload_folder() -> Path:
    """Return the folder for uploads, the only one from which Gradio serves files.

    Gradio documents the environment variable, and uses the same default.
    """
    return Path(os.environ.get("GRADIO_TEMP_DIR") or (Path(tempfile.gettempdir()) / "gradio").resolve())


def uploaded(values: Iterable[Any]) -> tuple[Path, ...]:
    """Return the uploaded files among the values of components, which may be lists with captions."""
    folder = upload_folder().resolve()
    paths = (Path(text).resolve() for value in values for text in _texts(value) if "\0" not in text)
    return tuple(dict.fromkeys(path for path in paths if path.is_relative_to(folder) and path.is_file()))


def uploaded_image(seen: Seen, image: Any) -> Image.Image:
    """Return an uploaded image in RGB, upright. Callers must not modify it.

    Raises:
        LoraVitError: If the file is not a readable image, or not an upload.
    """
    return seen.images.open(uploaded_path(image))


def uploaded_path(image: Any) -> Path:
    """Return the path of an uploaded file.

    Raises:
        UnreadableUpload: If it is missing, or any other file of this machine.
    """
    named = image.get("path") if isinstance(image, dict) else getattr(image, "path", None)
    if not isinstance(named, str):
        raise UnreadableUpload(_("The image is missing. Upload a file and send it as the image."))
    not_uploaded = UnreadableUpload(_("The image is not an uploaded file. Upload it first."))
    try:
        path, folder = Path(named).resolve(), upload_folder().resolve()
        uploaded = path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError) as error:
        raise not_uploaded from error
    if not uploaded:
        raise not_uploaded
    return path


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
