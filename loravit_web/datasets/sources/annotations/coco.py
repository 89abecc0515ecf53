"""COCO: an image has the categories of its annotations, whose boxes and masks are not used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from loravit_web.datasets.errors import InvalidAnnotations
from loravit_web.datasets.sources.annotations.entries import Entries, Entry

_PARTS = ("images", "annotations", "categories")


def is_coco(document: Any) -> bool:
    """Return whether a JSON value has the parts of a COCO file, with categories in its annotations."""
    if not isinstance(document, dict) or not all(isinstance(document.get(part), list) for part in _PARTS):
        return False
    annotations = document["annotations"]
    return not annotations or any(
        isinstance(one, dict) and {"image_id", "category_id"} <= one.keys() for one in annotations
    )


def read_coco(document: Mapping[str, Any], name: str) -> Entries:
    """Return the images of a COCO file with their categories.

    Images without an annotation have no label where others have several; otherwise they are left out.

    Args:
        document: The file's JSON value; see `is_coco`.
        name: Name of the file, for errors.

    Raises:
        InvalidAnnotations: If an image or a category has no id or no name.
    """
    categories = {_id(one, name): _text(one, "name", name) for one in document["categories"]}
    files = {_id(one, name): _text(one, "file_name", name) for one in document["images"]}
    found: defaultdict[Any, dict[str, None]] = defaultdict(dict)
    boxes = 0
    for annotation in document["annotations"]:
        if not isinstance(annotation, dict):
            raise InvalidAnnotations(
                f"“{name}” has an annotation that is not a JSON object. Export it again."
            )
        image, category = annotation.get("image_id"), annotation.get("category_id")
        if not _is_key(image) or not _is_key(category) or image not in files or category not in categories:
            raise InvalidAnnotations(
                f"“{name}” has an annotation of an image or a category that is not listed. Export it again."
            )
        found[image][categories[category]] = None
        boxes += "bbox" in annotation or "segmentation" in annotation
    several = any(len(names) > 1 for names in found.values())
    entries = [Entry(path, tuple(found[image])) for image, path in files.items() if several or image in found]
    notes = []
    if several:
        notes.append(f"Several labels per image, one for each category of its annotations in “{name}”.")
    if boxes:
        notes.append(
            f"Boxes and masks in “{name}” are not used: an image has the classes of its annotations."
        )
    return Entries(entries, "many" if several else "one", tuple(notes))


def _id(one: Any, name: str) -> int | str:
    found: Any = one.get("id") if isinstance(one, dict) else None
    if not _is_key(found):
        raise InvalidAnnotations(f"“{name}” has an image or a category without an id. Export it again.")
    key: int | str = found
    return key


def _is_key(value: Any) -> bool:
    return isinstance(value, int | str)


def _text(one: Mapping[str, Any], key: str, name: str) -> str:
    text = one.get(key)
    if not isinstance(text, str) or not text.strip():
        raise InvalidAnnotations(f"“{name}” has an entry without a {key}. Export it again.")
    return text
