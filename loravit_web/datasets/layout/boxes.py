"""Labels of object detection, which are boxes inside images and no classes of images."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

_FOLDERS = frozenset({"labels", "label", "annotations", "bboxes", "boxes"})
_FILES = frozenset({"_annotations.coco.json", "instances_train.json", "classes.names", "obj.names"})


def boxes_told(paths: Sequence[str]) -> list[str]:
    """Return a sentence if files beside the images are labels of object detection.

    These are a text file for each image in a folder of labels, as for YOLO, XML files in a folder of
    annotations, as for Pascal VOC, or the JSON file of COCO.

    Args:
        paths: Relative paths of all files.
    """
    found = [path for path in paths if _is_box_file(path.lower())]
    if not found:
        return []
    return [
        f"{found[0]} looks like a label of object detection. Boxes are not used: each image needs one class."
    ]


def _is_box_file(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    suffix = posixpath.splitext(name)[1]
    in_labels = bool(_FOLDERS & set(folder.split("/")))
    return name in _FILES or (in_labels and suffix in (".txt", ".xml"))
