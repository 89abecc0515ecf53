"""A process that kills itself at a named step; `benchmarks.support.forks` starts it.

The steps lie in functions of the product that are wrapped here; the product itself knows nothing of it.
"""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from sqlalchemy import event
from sqlalchemy.orm import Session

from registry import NewBase, NewVersion, Registry
from registry.blobs import local as local_blobs
from registry.blobs.local import LocalBlobs
from registry.blobs.remote import RemoteBlobs
from registry.catalog import publishing

NEW: dict[str, bytes | Path] = {"adapter_model.safetensors": b"new weights" * 1000, "task.json": b"new"}


def die(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_after(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*given: Any, **named: Any) -> None:
        function(*given, **named)
        die()

    return wrapped


def half_written(path: Path, _chunks: object) -> None:
    path.write_bytes(b"new wei")
    die()


def on_commit(name: str) -> None:
    """Only of the publication: the base of the version was stored by another transaction before."""
    publish_rows = publishing.publish_rows

    def listening(session: Session, *given: Any) -> int:
        event.listen(session, name, die)
        return publish_rows(session, *given)

    publishing.publish_rows = listening


PUBLISHING: dict[str, Callable[[], None]] = {
    "half a file is written": lambda: setattr(local_blobs, "_write", half_written),
    "a file is written and not synced": lambda: setattr(os, "fsync", die),
    "a file is synced and not renamed": lambda: setattr(Path, "replace", die),
    "a file is renamed and its folder not synced": lambda: setattr(
        Path, "replace", dying_after(Path.replace)
    ),
    "one of two files is stored": lambda: setattr(LocalBlobs, "put_bytes", dying_after(LocalBlobs.put_bytes)),
    "all files are stored and not read back": lambda: setattr(publishing, "read_back", die),
    "all files are read back and no row is written": lambda: setattr(publishing, "publish_rows", die),
    "the rows are written and not committed": lambda: on_commit("before_commit"),
}
COMMITTED: dict[str, Callable[[], None]] = {
    "the version is committed and not acknowledged": lambda: on_commit("after_commit"),
}
ON_A_SERVER: dict[str, Callable[[], None]] = {
    "a file is uploaded and not moved": lambda: setattr(LocalFileSystem, "mv", die),
    "a file is moved and not read back": lambda: setattr(
        LocalFileSystem, "mv", dying_after(LocalFileSystem.mv)
    ),
}
SWEEPING: dict[str, Callable[[], None]] = {
    "a row is removed and its file not": lambda: setattr(LocalBlobs, "delete", die),
    "a file is removed and its row not committed": lambda: setattr(
        LocalBlobs, "delete", dying_after(LocalBlobs.delete)
    ),
}


def publish(registry: Registry, files: dict[str, bytes | Path]) -> str:
    base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit", 384, 12))
    new = NewVersion("pets", "Pets", "", None, base.id, None, "LORA", 1, 112, ("cat", "dog"), {}, files)
    return registry.catalog.publish(new, actor="ada").ref


def sweep(registry: Registry) -> None:
    for file in registry.maintenance.unreferenced(timedelta(hours=1)):
        registry.maintenance.remove(file, timedelta(hours=1))


def warm_up() -> None:
    """Nothing more than what this module imports."""


def die_at(step: str, url: str, root: str) -> None:
    """Publish or sweep, as far as the step."""
    with Registry.open(url, Path(root)) as registry:
        registry.bases.ensure(NewBase("vit", "a" * 64, "vit", 384, 12))
        if step in ON_A_SERVER:
            registry = Registry(registry._database, RemoteBlobs(LocalFileSystem(), root))
        {**PUBLISHING, **COMMITTED, **ON_A_SERVER, **SWEEPING}[step]()
        sweep(registry) if step in SWEEPING else publish(registry, NEW)
    raise AssertionError(f"the process outlived {step!r}")
