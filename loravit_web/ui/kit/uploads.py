"""Which files came in through the page with what a visitor gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder


def uploaded(values: Iterable[Any]) -> tuple[Path, ...]:
    """Return the uploaded files among the values of components, which may be lists of them with captions."""
    folder = Path(get_upload_folder()).resolve()
    paths = (Path(text).resolve() for value in values for text in _texts(value) if "\0" not in text)
    return tuple(dict.fromkeys(path for path in paths if path.is_relative_to(folder) and path.is_file()))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
