"""What an exported folder is, read from the folder itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from loravit_web.runtime.layout import EXPORT_FILE, ExportDamaged, read_export

Format = Literal["onnx", "web", "onnx-merged"]
"""How tasks are exported."""
CONFIG_FILE = "config.json"
"""Name of the document in a folder of the format onnx-merged."""
MODEL = "model"
"""Folder of the export inside the folder of a web page."""


def is_export(folder: Path) -> bool:
    """Return whether a folder looks like an export of any format."""
    merged = (folder / "onnx").is_dir() and (folder / CONFIG_FILE).is_file()
    return merged or any((inner / EXPORT_FILE).is_file() for inner in (folder, folder / MODEL))


def summary_of(folder: Path) -> dict[str, Any]:
    """Return the format, size, base and tasks of an exported folder as JSON-ready values.

    Raises:
        ExportDamaged: If the folder is not an export, or a damaged one.
    """
    page = (folder / MODEL / EXPORT_FILE).is_file()
    if (folder / CONFIG_FILE).is_file() and not page:
        return _merged(folder)
    inner = folder / MODEL if page else folder
    found = read_export(inner)
    differences = found.check.get("largest_difference", {})
    return {
        "folder": str(folder),
        "format": "web" if page else "onnx",
        "made_by": found.made_by,
        "precision": found.precision,
        "base": dict(found.base),
        "bytes": _size(folder),
        "tasks": [
            {
                "task": task.task,
                "title": task.title,
                "class_names": list(task.class_names),
                "image_size": task.image_size,
                "weights_sha256": task.weights_sha256,
                "bytes": _size(inner / task.folder),
                "largest_difference": differences.get(task.task),
            }
            for task in found.tasks
        ],
    }


def _merged(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG_FILE).read_bytes())
        facts = config["loravit"]
        return {
            "folder": str(folder),
            "format": "onnx-merged",
            "made_by": facts["made_by"],
            "precision": facts["precision"],
            "base": dict(facts["base"]),
            "bytes": _size(folder),
            "tasks": [
                {
                    "task": facts["task"],
                    "title": facts["title"],
                    "class_names": list(config["id2label"].values()),
                    "image_size": config["image_size"],
                    "weights_sha256": facts["adapter_sha256"],
                    "bytes": _size(folder),
                    "largest_difference": facts["largest_difference"],
                }
            ],
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportDamaged(
            f"{folder} was not written by loravit export, or it is damaged. Export the task again."
        ) from error


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
