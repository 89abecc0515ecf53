"""Reading of Parquet files in a process of its own.

A damaged file can make pyarrow abort its process, or take any amount of memory. The process writes the images
and what it read into a folder, and ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loravit_web.datasets import errors
from loravit_web.datasets.errors import DatasetError, InvalidParquet
from loravit_web.datasets.layout.plan import Placement, Plan
from loravit_web.datasets.records import Skipped
from loravit_web.datasets.sources.archives import ArchiveLimits, too_many_bytes
from loravit_web.datasets.sources.parquet import plan_of_parquet

MAX_MEMORY = 4 << 30
"""Maximum memory in bytes of the process, where the system can limit it."""
MAX_SECONDS = 1800
"""Maximum duration of the process."""
_RESULT = "result.json"


def unpack_parquet(files: Mapping[str, Path], folder: Path, limits: ArchiveLimits) -> Plan:
    """Write the images of Parquet files into a folder, each under its number, and return their plan.

    An image that is missing in its row, or larger than a file may be, is not written.

    Args:
        files: File by the relative path of each Parquet file.
        folder: An empty folder.
        limits: Limits of the import.

    Raises:
        ParquetPackageMissing: If pyarrow is not installed.
        DatasetError: If a file is damaged, too large, or has no images and labels.
    """
    job = {"files": {shown: str(file.resolve()) for shown, file in files.items()}, "limits": asdict(limits)}
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    try:
        ended = subprocess.run(
            [sys.executable, "-m", __name__, str(folder)],
            input=json.dumps(job).encode(),
            capture_output=True,
            timeout=MAX_SECONDS,
            check=False,
            env={**os.environ, "PYTHONPATH": path, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidParquet("Reading the Parquet files took too long. Use fewer or smaller ones.") from error
    if ended.returncode:
        raise InvalidParquet(
            "The Parquet files are damaged or too large to read. Write or download them again."
        )
    return _plan(json.loads((folder / _RESULT).read_text(encoding="ascii")))


def _plan(result: Mapping[str, Any]) -> Plan:
    if "error" in result:
        kind: type[DatasetError] = getattr(errors, result["error"])
        raise kind(result["sentence"])
    return Plan(
        tuple(
            Placement(index, path, split, tuple(names))
            for index, (path, split, names) in enumerate(result["placements"])
        ),
        tuple(Skipped(*fields) for fields in result["skipped"]),
        tuple(result["effects"]),
        tuple(result["notes"]),
        labels=result["labels"],
        from_table=True,
    )


def _work(folder: Path, job: Mapping[str, Any]) -> dict[str, Any]:
    """Write the images, and return the plan or the error."""
    limits = ArchiveLimits(**job["limits"])
    try:
        plan, rows = plan_of_parquet({shown: Path(file) for shown, file in job["files"].items()}, limits)
        total = 0
        for place in plan.placements:
            content = rows.read(place.index)
            if content is not None and len(content) <= limits.max_file_bytes:
                total += len(content)
                if total > limits.max_total_bytes:
                    raise too_many_bytes(limits)
                (folder / str(place.index)).write_bytes(content)
    except DatasetError as error:
        return {"error": type(error).__name__, "sentence": str(error)}
    return {
        "placements": [[place.path, place.split, place.class_names] for place in plan.placements],
        "skipped": [[entry.path, entry.reason] for entry in plan.skipped],
        "effects": plan.effects,
        "notes": plan.notes,
        "labels": plan.labels,
    }


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def main() -> None:
    """Read a job from stdin, and write the images and the result into the folder of the argument."""
    _limit_memory()
    folder = Path(sys.argv[1])
    result = _work(folder, json.load(sys.stdin))
    (folder / _RESULT).write_text(json.dumps(result), encoding="ascii")


if __name__ == "__main__":
    main()
