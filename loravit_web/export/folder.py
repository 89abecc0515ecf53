"""Export of several versions as a folder of ONNX graphs that share the weights of their base."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loravit_web import __version__
from loravit_web.adapters.files.fileset import CARD_FILE
from loravit_web.adapters.files.format import FILES, PREFIX, WEIGHTS_FILE
from loravit_web.adapters.readout import Readout
from loravit_web.backbones import Base
from loravit_web.errors import LoraVitError
from loravit_web.export.check import checked
from loravit_web.export.graph import WeightsFile, sha256
from loravit_web.export.licenses import base_entry
from loravit_web.export.plan import Part, Version, paths, provided, written
from loravit_web.export.readme import readme
from loravit_web.runtime.layout import (
    Export,
    ExportedTask,
    Head,
    Input,
    Novelty,
    Precision,
    Tap,
)

README_FILE = "README.md"
TASKS = "tasks"
"""Folder of the adapters' files."""
Progress = Callable[[float, str], None]


class FolderInUse(LoraVitError):
    """A target that already has files."""


def export_onnx(
    base: Base, versions: Sequence[Version], folder: Path, precision: Precision, progress: Progress
) -> Export:
    """Write an exported folder, run it once with onnxruntime, and compare it with the engine.

    Args:
        base: Base in float32 that all versions run on.
        versions: Versions to export, at least one.
        folder: New or empty folder.
        precision: Precision in which the weights of the base are stored.
        progress: Called with a fraction from 0 to 1 and the current step.

    Raises:
        FolderInUse: If the folder has files.
        NotExportable: If the base or an adapter cannot be written.
        OtherBase: If a version runs on another base.
        ExportDiffers: If the export does not compute the engine's logits. Nothing is written then.
        RuntimeMissing: If onnxruntime is not installed.
        OSError: If a file cannot be written.
    """
    with new_folder(folder) as work:
        return write_onnx(base, versions, work, precision, progress)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``folder`` if no error occurs.

    Raises:
        FolderInUse: If the folder has files.
        OSError: If it cannot be created.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise FolderInUse(f"{folder} already has files. Choose a new or an empty folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield work
        work.chmod(0o777 & ~_umask())
        work.replace(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_onnx(
    base: Base, versions: Sequence[Version], folder: Path, precision: Precision, progress: Progress
) -> Export:
    """Write the files of `export_onnx` into an existing folder."""
    weights = WeightsFile(f"base-{precision}.bin")
    found = paths(base, [version.adapter for version in versions])
    parts = sorted({part for path in found for part in path})
    entries = []
    for number, part in enumerate(parts):
        progress(0.6 * number / len(parts), f"Writing {part.file}")
        data, entry = written(base, part, precision, weights)
        (folder / part.file).write_bytes(data)
        entries.append(entry)
    content = weights.content()
    (folder / weights.name).write_bytes(content)
    tasks = [_task(base, version, path, parts) for version, path in zip(versions, found, strict=True)]
    for version, task in zip(versions, tasks, strict=True):
        target = folder / task.folder
        target.mkdir(parents=True)
        for name in (*FILES, CARD_FILE):
            if name in version.files:
                (target / name).write_bytes(version.files[name])
    export = Export(
        made_by=f"loravit-web {__version__}",
        precision=precision,
        base=base_entry(base),
        weights=weights.name,
        weights_sha256=sha256(content),
        parts=base.parts,
        graphs=tuple(entries),
        tasks=tuple(tasks),
        check={},
    )
    progress(0.7, "Comparing the export with the engine")
    export = checked(folder, export, base, versions)
    (folder / README_FILE).write_text(readme(export), encoding="utf-8")
    progress(1.0, "Exported")
    return export


def _task(base: Base, version: Version, path: Sequence[Part], parts: Sequence[Part]) -> ExportedTask:
    adapter = version.adapter
    config, novelty = adapter.config, adapter.novelty
    reads = (config.pooling or base.native_pooling).split("+")
    features = tuple(base.parts.index(part) for part in base.parts if part in reads)
    weights = [
        PREFIX + name for name, used in (("head.weight", features), ("readout.weight", config.taps)) if used
    ]
    return ExportedTask(
        task=version.ref,
        title=version.title,
        folder=f"{TASKS}/{version.folder_name}",
        weights=WEIGHTS_FILE,
        weights_sha256=sha256(version.files[WEIGHTS_FILE]),
        class_names=version.class_names,
        labels=config.labels,
        temperature=adapter.temperature,
        thresholds=adapter.thresholds,
        unsure_below=version.unsure_below,
        unlike_above=version.unlike_above,
        image_size=adapter.preprocessing.image_size,
        mean=adapter.preprocessing.mean,
        std=adapter.preprocessing.std,
        graphs=tuple(parts.index(part) for part in path),
        inputs={name: Input(PREFIX + tensor, scale) for name, (tensor, scale) in provided(adapter).items()},
        head=Head(features, _taps(base, config.taps), tuple(weights), f"{PREFIX}head.bias"),
        novelty=None
        if novelty is None
        else Novelty(
            taps=_taps(base, novelty.readout),
            center=f"{PREFIX}novelty.center",
            scale=f"{PREFIX}novelty.scale",
            directions=f"{PREFIX}novelty.directions",
            threshold=novelty.threshold,
        ),
        whites=adapter.preprocessing.whites,
    )


def _taps(base: Base, readout: Readout) -> tuple[Tap, ...]:
    return tuple((tap.block, base.parts.index(tap.part)) for tap in readout)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
