"""Images and checkpoints of runs, fetched from the artifact store by a machine that does not have them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TypeVar

from loravit_web.datasets import DatasetStore
from loravit_web.datasets.stored.disk import storing_failed
from loravit_web.datasets.stored.manifest import read_complete
from loravit_web.datasets.stored.packs import RECORDS, unpack
from loravit_web.datasets.stored.removal import TEMP_PREFIX
from loravit_web.settings.quota import GIB
from loravit_web.util.uninterruptible import ReportProgress
from loravit_web.worker.tracking import RETRY_SECONDS
from registry import BlobStoreUnreachable, DatabaseNotReadable, Registry, Run

FETCHED = ".fetched"
"""File in the folder of a dataset that was fetched, whose time is that of its last use."""
_PAUSE_SECONDS = 1.0

T = TypeVar("T")


def fetch_images(
    registry: Registry, datasets: DatasetStore, run: Run, report: ReportProgress, *, limit_gib: float
) -> None:
    """Fetch the images of a run unless they are on this machine, and remove older ones beyond a limit.

    Args:
        registry: Registry with the run.
        datasets: Stored images of this machine.
        run: The run.
        report: Receives a fraction and a stage.
        limit_gib: Size of all fetched images that are kept, in GiB.

    Raises:
        DatasetNotFound: If the store does not have them either; raised when the run loads its images.
        DatasetDamaged: If what the store has is damaged.
        DatasetError: If the images cannot be stored here.
        RegistryError: If the store does not answer for minutes.
    """
    fingerprint = run.dataset.fingerprint
    final = datasets.root / fingerprint
    if not datasets.has(fingerprint):
        files = while_away(lambda: registry.dataset_files.digests(fingerprint), report)
        if RECORDS not in files:
            return
        try:
            _fetch_into(final, registry, files.values(), report)
        except OSError as error:
            raise storing_failed(error) from error
    if (final / FETCHED).exists():
        (final / FETCHED).touch()
        in_use = {one.dataset.fingerprint for one in registry.runs.list(status=["running"])}
        remove_unused(datasets.root, in_use | {fingerprint}, int(limit_gib * GIB))


def remove_unused(root: Path, in_use: Collection[str], limit: int) -> None:
    """Remove fetched datasets, the least recently used first, until the rest is not larger than a limit.

    Args:
        root: Folder of all datasets.
        in_use: Fingerprints of datasets that are kept.
        limit: Size of all fetched datasets, in bytes.
    """
    fetched = sorted((mark.stat().st_mtime, mark.parent) for mark in root.glob(f"*/{FETCHED}"))
    sizes = {folder: _size(folder) for _used_at, folder in fetched}
    total = sum(sizes.values())
    for _used_at, folder in fetched:
        if total <= limit:
            return
        if folder.name not in in_use:
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]


def fetch_file(registry: Registry, run: Run, path: str, target: Path, report: ReportProgress) -> bool:
    """Write a file that an earlier worker of a run stored, and return whether there is one.

    Args:
        registry: Registry with the run.
        run: The run.
        path: Path of the file; see `RunFiles`.
        target: File to write.
        report: Receives a fraction and a stage.
    """
    if path not in while_away(lambda: registry.run_files.names(run.id), report):
        return False
    data = while_away(lambda: registry.run_files.read(run.id, path), report)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.fetched")
    temporary.write_bytes(data)
    temporary.replace(target)
    return True


def while_away(
    read: Callable[[], T],
    report: ReportProgress,
    *,
    seconds: float = RETRY_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Repeat a read until the store or the database answers, and report that the run waits for it.

    Args:
        read: The read.
        report: Receives a fraction and a stage.
        seconds: Seconds after which the last error is raised.
        clock: Returns the time in seconds.
        sleep: Waits for a number of seconds.
    """
    deadline = clock() + seconds
    while True:
        try:
            return read()
        except (BlobStoreUnreachable, DatabaseNotReadable):
            if clock() > deadline:
                raise
            report(0.0, "Waiting for the store, which does not answer")
            sleep(_PAUSE_SECONDS)


def _fetch_into(final: Path, registry: Registry, digests: Collection[str], report: ReportProgress) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    temp = Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=final.parent))
    try:
        for number, digest in enumerate(digests):
            report(number / len(digests), f"Fetching the images, part {number + 1} of {len(digests)}")
            unpack(while_away(partial(registry.dataset_files.read, digest), report), temp)
        read_complete(temp, final.name)
        (temp / FETCHED).touch()
        if not final.exists():  # another worker of this machine may have been faster
            temp.rename(final)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
