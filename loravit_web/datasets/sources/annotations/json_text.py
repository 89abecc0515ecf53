"""Reading of foreign JSON whose size in memory is bounded before it is parsed."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

from loravit_web.datasets.errors import InvalidAnnotations

MAX_BYTES = 64 << 20
"""Maximum size of a file."""
MAX_MEMORY = 256 << 20
"""Maximum memory in bytes that the text and its values may take."""
_CONTAINER, _VALUE, _QUOTE = 72, 32, 28
"""Memory in bytes of an empty list or object, of a number or name with its place, and of half a text."""


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        InvalidAnnotations: If it cannot be read, is no JSON, or is too large.
    """
    return _parsed(_text(path), f"“{path.name}”")


def read_json_lines(path: Path) -> list[Any]:
    """Return the value of each line of a file that is not empty.

    Raises:
        InvalidAnnotations: If it cannot be read, a line is no JSON, or it is too large.
    """
    lines = enumerate(StringIO(_text(path)), start=1)
    return [_parsed(line, f"Line {number} of “{path.name}”") for number, line in lines if line.strip()]


def memory_of(text: str) -> int:
    """Return an upper bound of the memory in bytes that a JSON text and its values take.

    Signs inside texts count too.
    """
    containers = text.count("[") + text.count("{")
    values = text.count(",") + text.count(":") + text.count("\n")
    return 2 * len(text) + _CONTAINER * containers + _VALUE * values + _QUOTE * text.count('"')


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidAnnotations(
            f"“{path.name}” cannot be read. Check that the file can be opened."
        ) from error
    if len(data) > MAX_BYTES:
        raise _too_large(path.name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidAnnotations(f"“{path.name}” is not UTF-8 text. Export it again as UTF-8.") from error
    if memory_of(text) > MAX_MEMORY:
        raise _too_large(path.name)
    return text


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InvalidAnnotations(f"{what} is nested too deeply. Export it again.") from error
    except ValueError as error:
        raise InvalidAnnotations(f"{what} is not valid JSON. Export it again.") from error


def _too_large(name: str) -> InvalidAnnotations:
    return InvalidAnnotations(
        f"“{name}” is too large. Export the labels without polygons, or as a CSV with path and label."
    )
