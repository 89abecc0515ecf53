"""Zips with labels in JSON, each with the classes that it should give or the reason why it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from loravit_web.datasets.errors import (
    ArchiveTooLarge,
    ClassNameTooLong,
    InvalidAnnotations,
    TooFewClasses,
    TooManyEntries,
)
from tests.corpus.answers import Refused
from tests.corpus.archives import ArchiveEntry, Imported, zipped
from tests.datasets.makers import images

FLAT = images(["1.png", "2.png", "3.png", "4.png"])
LABELS = dict(zip(FLAT, ("cat", "cat", "dog", "dog"), strict=True))
LIST = [{"file_name": path, "label": label} for path, label in LABELS.items()]
COCO: dict[str, Any] = {
    "images": [{"id": number, "file_name": path} for number, path in enumerate(LABELS)],
    "annotations": [
        {"image_id": number, "category_id": label} for number, label in enumerate(LABELS.values())
    ],
    "categories": [{"id": "cat", "name": "cat"}, {"id": "dog", "name": "dog"}],
}


def beside(name: str, content: bytes) -> Callable[[], bytes]:
    """Images without class folders, and a file."""
    return lambda: zipped({**FLAT, name: content})


def labels(value: Any, name: str = "labels.json") -> Callable[[], bytes]:
    """Images, and a file with a value in JSON."""
    return beside(name, json.dumps(value).encode())


def coco(**more: Any) -> Callable[[], bytes]:
    """Images, and COCO's JSON with other parts."""
    return labels({**COCO, **more})


def named(path: Any, label: Any = "dog") -> Callable[[], bytes]:
    """Images, and a list that names another one."""
    return labels([*LIST, {"file_name": path, "label": label}])


BROKEN = Refused(InvalidAnnotations, "is not valid JSON. Export it again")
LARGE = Refused(InvalidAnnotations, "is too large")
NOTHING = Refused(TooFewClasses, "At least two classes are needed")

# fmt: off
ANNOTATED: tuple[ArchiveEntry, ...] = (
    ArchiveEntry("COCO", coco(), Imported()),
    ArchiveEntry("lines of JSON", beside("metadata.jsonl", "\n".join(map(json.dumps, LIST)).encode()), Imported()),
    ArchiveEntry("a list with a path that climbs", named("../../etc/passwd"), Imported(skipped=1)),
    ArchiveEntry("a list with an absolute path", named("/etc/passwd"), Imported(skipped=1)),
    ArchiveEntry("a list with an address", named("file:///etc/passwd"), Imported(skipped=1)),
    ArchiveEntry("a list with an address of another server", named("https://example.org/1.png", "cat"), Imported(skipped=1)),
    ArchiveEntry("a list with a NUL", named("a\0b.png"), Refused(InvalidAnnotations, "without a path or a label")),
    ArchiveEntry("a list with a path of 100,000 characters", named("d/" * 50_000 + "x.png"), Refused(InvalidAnnotations, "has an invalid path. Correct it")),
    ArchiveEntry("HTML in a label", labels([{**one, "label": f"<img src=x onerror=alert(1)>{one['label']}"} for one in LIST]), Imported(("<img src=x onerror=alert(1)>cat", "<img src=x onerror=alert(1)>dog"))),
    ArchiveEntry("half a pair of UTF-16 in a label", beside("labels.json", json.dumps(LIST).replace('"dog"', '"d\\ud800og"').encode()), Imported()),
    ArchiveEntry("a label of 300 characters in JSON", named("1.png", "x" * 300), Refused(ClassNameTooLong, "has 300 characters")),
    ArchiveEntry("a label that is a list of lists", named("1.png", [["dog"]]), Refused(InvalidAnnotations, "neither a text nor a list")),
    ArchiveEntry("a label that is NaN", named("1.png", float("nan")), Imported()),
    ArchiveEntry("half a file of JSON", beside("labels.json", json.dumps(COCO).encode()[:99]), BROKEN),
    ArchiveEntry("no bytes of JSON", beside("labels.json", b""), BROKEN),
    ArchiveEntry("an image named .json", beside("labels.json", FLAT["1.png"]), Refused(InvalidAnnotations, "is not UTF-8 text")),
    ArchiveEntry("JSON of 100,000 levels", beside("labels.json", b"[" * 100_000), Refused(InvalidAnnotations, "nested too deeply")),
    ArchiveEntry("objects of 100,000 levels", beside("labels.jsonl", b'{"a":' * 100_000), Refused(InvalidAnnotations, "nested too deeply")),
    ArchiveEntry("four million empty lists", beside("labels.json", b"[" + b"[]," * 4_000_000 + b"1]"), Refused(ArchiveTooLarge, "is above 200")),
    ArchiveEntry("a million lists that are hard to pack", beside("labels.json", b"[" + b",".join(b'{"%x":[]}' % (n * 2654435761 % 2**32) for n in range(1_300_000)) + b"]"), LARGE),
    ArchiveEntry("more images than allowed in JSON", labels([{"file_name": f"{n}.png", "label": "cat"} for n in range(3001)]), Refused(TooManyEntries, "more than 3000 images")),
    ArchiveEntry("1000 keys", labels([{**one, **{f"key {n}": n for n in range(1000)}} for one in LIST]), NOTHING),
    ArchiveEntry("COCO of an image that is not listed", coco(annotations=[{"image_id": 9, "category_id": "cat"}]), Refused(InvalidAnnotations, "that is not listed")),
    ArchiveEntry("COCO with keys that cannot be keys", coco(annotations=[{"image_id": {}, "category_id": []}]), Refused(InvalidAnnotations, "that is not listed")),
    ArchiveEntry("COCO with images of numbers", coco(images=[1, 2, 3]), Refused(InvalidAnnotations, "without an id")),
    ArchiveEntry("COCO without annotations", coco(annotations=[]), NOTHING),
    ArchiveEntry("JSON that lists nothing of the zip", labels([{"file_name": f"x{n}.png", "label": "ab"[n % 2]} for n in range(9)]), NOTHING),
    ArchiveEntry("tasks of two questions", labels([{"data": {"image": "1.png"}, "annotations": [{"result": [{"type": "choices", "from_name": q, "value": {"choices": ["cat"]}} for q in "ab"]}]}]), Refused(InvalidAnnotations, "answers several questions")),
    ArchiveEntry("JSON of a program beside the images", labels({"name": "pets", "version": 1}), NOTHING),
)
