"""Export of several tasks as a web page that needs no server: plain files for any static host."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from loravit_web.backbones import Base
from loravit_web.export.folder import Progress, new_folder, write_onnx
from loravit_web.export.packages import ONNXRUNTIME_WEB, files_of
from loravit_web.export.plan import Version
from loravit_web.export.summary import MODEL
from loravit_web.runtime.layout import Precision

PAGE = Path(__file__).parent / "page"
"""Folder of the page's own files."""
RUNTIME = "ort"
"""Folder of onnxruntime-web in the exported page."""
_RUNTIME_FILES = (
    "dist/ort.wasm.min.mjs",
    "dist/ort-wasm-simd-threaded.mjs",
    "dist/ort-wasm-simd-threaded.wasm",
    "dist/ort.webgpu.min.mjs",
    "dist/ort-wasm-simd-threaded.asyncify.mjs",
    "dist/ort-wasm-simd-threaded.asyncify.wasm",
)
_ABOUT_RUNTIME = (
    f"{ONNXRUNTIME_WEB.name} {ONNXRUNTIME_WEB.version} from the npm registry, MIT license, copyright "
    f"Microsoft Corporation.\n{ONNXRUNTIME_WEB.integrity}\n"
)
_WORKER = "sw.js"


def export_web(
    base: Base,
    versions: Sequence[Version],
    folder: Path,
    precision: Precision,
    progress: Progress,
    *,
    cache: Path,
) -> None:
    """Write a web page with its tasks, and compare the tasks with the engine; see `export_onnx`.

    Args:
        base: Base in float32 that all versions run on.
        versions: Versions to export, at least one.
        folder: New or empty folder.
        precision: Precision in which the weights of the base are stored.
        progress: Called with a fraction from 0 to 1 and the current step.
        cache: Folder of downloaded packages.

    Raises:
        PackageUnavailable: If onnxruntime-web cannot be downloaded.
    """
    progress(0.0, "Fetching onnxruntime-web")
    runtime = files_of(ONNXRUNTIME_WEB, _RUNTIME_FILES, cache)
    with new_folder(folder) as work:
        (work / MODEL).mkdir()
        write_onnx(base, versions, work / MODEL, precision, progress)
        (work / RUNTIME).mkdir()
        for name, data in runtime.items():
            (work / RUNTIME / name).write_bytes(data)
        (work / RUNTIME / "README.txt").write_text(_ABOUT_RUNTIME, encoding="utf-8")
        for source in sorted(PAGE.iterdir()):
            if source.is_file() and source.name != _WORKER:
                (work / source.name).write_bytes(source.read_bytes())
        worker = (PAGE / _WORKER).read_text(encoding="utf-8")
        (work / _WORKER).write_text(worker.replace("{{version}}", _content_hash(work)), encoding="utf-8")


def _content_hash(folder: Path) -> str:
    """Return a hash of all files, by which a browser tells a new export from the one it has."""
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content.update(path.relative_to(folder).as_posix().encode())
            content.update(hashlib.sha256(path.read_bytes()).digest())
    return content.hexdigest()[:16]
