"""The forms of an export: where its images are, and which files tell their labels."""

from __future__ import annotations

import csv
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from loravit_web.datasets.errors import DatasetDamaged, NotExportable
from loravit_web.datasets.export.names import is_folder_name
from loravit_web.datasets.records import ImageDataset, ImageItem, Split
from loravit_web.datasets.sources.csv_table.labels import SEPARATORS
from loravit_web.images.formats import reader_of
from loravit_web.images.headers import read_header
from loravit_web.util.csv_text import csv_cell
from loravit_web.util.labels import several

Form = Literal["folders", "csv", "imagefolder", "coco"]

_SPLIT_FOLDERS: Mapping[Split, str] = {"train": "train", "val": "validation", "test": "test"}
_COCO_FOLDERS: Mapping[Split, str] = {"train": "train", "val": "valid", "test": "test"}
_HEADER_BYTES = 64
Texts = dict[str, bytes]
"""Files with labels, by their path in the zip."""


@dataclass(frozen=True, slots=True)
class Writer:
    """How a form is written.

    Attributes:
        check: Checks that a dataset can have this form.
        folders: Returns for a dataset what gives the folder of an image, with a slash at the end.
        texts: Returns the files with labels; the second argument has the path of each image.
    """

    check: Callable[[ImageDataset], None]
    folders: Callable[[ImageDataset], Callable[[ImageItem], str]]
    texts: Callable[[ImageDataset, Sequence[str]], Texts]


def _any(_dataset: ImageDataset) -> None:
    """Accept every dataset."""


def _check_folders(dataset: ImageDataset) -> None:
    if several(dataset.labels):
        raise NotExportable(
            "Folders cannot hold images with several labels. Use the format csv, imagefolder or coco."
        )
    for name in dataset.classes:
        if not is_folder_name(name):
            raise NotExportable(
                f"A folder cannot be called “{name}” everywhere. Use the format csv, imagefolder or coco."
            )


def _class_folders(dataset: ImageDataset) -> Callable[[ImageItem], str]:
    """Return class folders, inside folders of splits if there are any but training images."""
    if all(item.split == "train" for item in dataset.items):
        return lambda item: f"{dataset.classes[item.label]}/"
    return lambda item: f"{_SPLIT_FOLDERS[item.split]}/{dataset.classes[item.label]}/"


def _one_folder(_dataset: ImageDataset) -> Callable[[ImageItem], str]:
    return lambda _item: "images/"


def _split_folders(names: Mapping[Split, str]) -> Callable[[ImageDataset], Callable[[ImageItem], str]]:
    return lambda _dataset: lambda item: f"{names[item.split]}/"


def _no_texts(_dataset: ImageDataset, _paths: Sequence[str]) -> Texts:
    return {}


def _csv(dataset: ImageDataset, paths: Sequence[str]) -> Texts:
    """Write a table with a row per image; without a usable separator, several labels have a column each."""
    stream = StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    joined = not any(separator in name for name in dataset.classes for separator in SEPARATORS)
    many = several(dataset.labels)
    columns = ["label"] if not many else ["labels"] if joined else list(map(csv_cell, dataset.classes))
    rows.writerow(["path", *columns, "split"])
    for item, path in zip(dataset.items, paths, strict=True):
        names = list(map(csv_cell, dataset.names_of(item)))
        flags = [str(int(label in item.labels)) for label in range(len(dataset.classes))]
        cells = [";".join(names)] if joined or not many else flags
        rows.writerow([csv_cell(path), *cells, item.split])
    return {"labels.csv": stream.getvalue().encode()}


def _image_folder(dataset: ImageDataset, paths: Sequence[str]) -> Texts:
    """Write a line of JSON per image into a file for each split."""
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for item, path in zip(dataset.items, paths, strict=True):
        folder, _, name = path.partition("/")
        names = list(dataset.names_of(item))
        told = {"labels": names} if several(dataset.labels) else {"label": names[0]}
        lines[folder].append(json.dumps({"file_name": name, **told}, ensure_ascii=False))
    return {f"{folder}/metadata.jsonl": "\n".join([*found, ""]).encode() for folder, found in lines.items()}


def _coco(dataset: ImageDataset, paths: Sequence[str]) -> Texts:
    """Write COCO's JSON for each split; a label is a box around the whole image, as many tools expect one."""
    categories = [{"id": number, "name": name} for number, name in enumerate(dataset.classes, start=1)]
    documents: dict[str, dict[str, list[Any]]] = {}
    ids = itertools.count(1)
    for number, (item, path) in enumerate(zip(dataset.items, paths, strict=True), start=1):
        folder, _, name = path.partition("/")
        document = documents.setdefault(folder, {"images": [], "annotations": [], "categories": categories})
        width, height = _size(dataset.image_path(item), dataset.fingerprint)
        document["images"].append({"id": number, "file_name": name, "width": width, "height": height})
        for label in item.labels:
            document["annotations"].append(
                {
                    "id": next(ids),
                    "image_id": number,
                    "category_id": label + 1,
                    "bbox": [0, 0, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    return {
        f"{folder}/_annotations.coco.json": json.dumps(document, ensure_ascii=False).encode()
        for folder, document in documents.items()
    }


def _size(path: Path, fingerprint: str) -> tuple[int, int]:
    """Return width and height of a stored image in pixels, as its file has them."""
    try:
        with path.open("rb") as stream:
            label, _reader = reader_of(stream.read(_HEADER_BYTES), path.name)
            stream.seek(0)
            header = read_header(stream, label)
    except OSError as error:
        raise missing_image(fingerprint) from error
    return header.width, header.height


def missing_image(fingerprint: str) -> DatasetDamaged:
    """Return the error for an image whose stored file is missing."""
    return DatasetDamaged(
        f"An image of the stored dataset {fingerprint[:12]} is missing. Import the images again to repair it."
    )


WRITERS: Mapping[Form, Writer] = MappingProxyType(
    {
        "folders": Writer(_check_folders, _class_folders, _no_texts),
        "csv": Writer(_any, _one_folder, _csv),
        "imagefolder": Writer(_any, _split_folders(_SPLIT_FOLDERS), _image_folder),
        "coco": Writer(_any, _split_folders(_COCO_FOLDERS), _coco),
    }
)
"""The forms by name."""
