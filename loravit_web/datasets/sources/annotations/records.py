"""Lists of objects, one for each image: ImageFolder's ``metadata.jsonl`` and Label Studio's short JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from loravit_web.datasets.errors import InvalidAnnotations, NoAnnotations, TooManyEntries
from loravit_web.datasets.records import Split
from loravit_web.datasets.sources.annotations.entries import Entries, Entry
from loravit_web.datasets.sources.csv_table.columns import LABEL, PATH, roles, split_in, split_places

MAX_KEYS = 200
"""Maximum number of different keys of all objects together."""
HINT = "Use COCO, or objects with the keys file_name and label."


def check_rows(count: int, max_rows: int, name: str) -> None:
    """Check the number of images of a file.

    Raises:
        TooManyEntries: If it has too many.
    """
    if count > max_rows:
        raise TooManyEntries(f"“{name}” has more than {max_rows} images. Use fewer images.")


def read_records(records: Sequence[Any], name: str, max_rows: int) -> Entries:
    """Return the images of a list of objects whose keys name the image, its label and optionally its split.

    A label is a text or a number, or a list of them for several labels. Keys have the names that columns of a
    table can have.

    Args:
        records: The objects.
        name: Name of the file, for errors.
        max_rows: Maximum number of objects.

    Raises:
        NoAnnotations: If the objects have no image or no label.
        InvalidAnnotations: If a label is of another kind, or a split is unknown.
        TooManyEntries: If there are too many.
    """
    check_rows(len(records), max_rows, name)
    objects = [one for one in records if isinstance(one, dict)]
    keys = list(dict.fromkeys(key for one in objects for key in one))
    meant = roles(keys)
    if len(objects) < len(records) or len(keys) > MAX_KEYS or not {PATH, LABEL} <= meant.keys():
        raise NoAnnotations(f"“{name}” does not list images with labels. {HINT}")
    path, label = keys[meant[PATH]], keys[meant[LABEL]]
    rows = ([_cell(one.get(key)) for key in keys] for one in objects)
    split = next(iter(split_places(keys, rows, [meant[PATH], meant[LABEL]])), None)
    entries = []
    for one in objects:
        written = one.get(path)
        if not isinstance(written, str):
            raise InvalidAnnotations(f"“{name}” has an object without {path}. Name an image in each object.")
        entries.append(Entry(written, _labels(one.get(label), name, label), _split(keys, split, one, name)))
    several = any(_is_several(one.get(label)) for one in objects)
    if not several:
        entries = [entry for entry in entries if entry.names]
    notes = (f"Several labels per image, listed in {label} of “{name}”.",) if several else ()
    return Entries(entries, "many" if several else "one", notes, has_splits=split is not None)


def _split(keys: Sequence[str], at: int | None, one: Mapping[str, Any], name: str) -> Split | None:
    if at is None:
        return None
    value = _cell(one.get(keys[at]))
    meant = split_in(keys, at, value)
    if meant is None:
        raise InvalidAnnotations(f"“{name}” has the unknown split “{value[:40]}”. Use train, val or test.")
    return meant


def _labels(value: Any, name: str, key: str) -> tuple[str, ...]:
    if _is_choice(value):
        value = value["choices"]
    parts = value if isinstance(value, list) else [value]
    if not all(part is None or isinstance(part, str | int | float) for part in parts):
        raise InvalidAnnotations(
            f"“{name}” has a {key} that is neither a text nor a list of texts. Correct it."
        )
    return tuple(dict.fromkeys(_cell(part) for part in parts if part is not None and _cell(part)))


def _is_several(value: Any) -> bool:
    return isinstance(value, list) or _is_choice(value)


def _is_choice(value: Any) -> bool:
    """Return whether a value is several choices as Label Studio writes them in its short JSON."""
    return isinstance(value, dict) and isinstance(value.get("choices"), list)


def _cell(value: Any) -> str:
    """Return a value as the text that it would have in a table; empty for lists and objects."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float) else ""
