"""Copies of a run's checkpoint and log, stored while it trains, so that another machine can continue."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from loravit_web.util.uninterruptible import ReportProgress
from loravit_web.worker.fetching import fetch_file
from registry import (
    BlobNotStored,
    BlobStoreUnreachable,
    DatabaseNotReadable,
    DatabaseNotWritable,
    Registry,
    RegistryError,
    Run,
    RunLost,
)

CHECKPOINT = "checkpoint.safetensors"
"""Name of the checkpoint in the folder of a run, and among its stored files."""
LOG = "log/"
"""Beginning of the paths of the parts of a log."""
LOG_BYTES = 64 << 10
"""Size in bytes from which a part of a log is complete."""
CHECKPOINT_SECONDS, LOG_SECONDS = 1.0, 10.0
"""Seconds between two looks at the checkpoint, and between two changes of the stored log."""
_AWAY = (BlobNotStored, BlobStoreUnreachable, DatabaseNotReadable, DatabaseNotWritable)
_LOG = logging.getLogger(__name__)


class Keeper:
    """Stores the checkpoint after each epoch, and the log of a run in parts.

    A store that is away delays only the copies: the newest checkpoint is stored when the store is back.

    Args:
        registry: Registry with the run.
        run: Claimed run.
        work: Folder of the run.
        log: Log file of the run, to which this attempt appends.
        interval: Seconds between two looks.
    """

    def __init__(
        self, registry: Registry, run: Run, work: Path, log: Path, *, interval: float = CHECKPOINT_SECONDS
    ) -> None:
        self._registry, self._run, self._log, self._interval = registry, run, log, interval
        self._checkpoint = work / CHECKPOINT
        self._stored: tuple[int, int] | None = None
        self._begins = log.stat().st_size if log.exists() else 0
        self._ends, self._part = self._begins, 0
        self._storing = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def fetch(self, report: ReportProgress) -> None:
        """Continue from the checkpoint that an earlier worker stored, in place of an older one here.

        Args:
            report: Receives a fraction and a stage.
        """
        if fetch_file(self._registry, self._run, CHECKPOINT, self._checkpoint, report):
            self._stored = _version_of(self._checkpoint)

    def store(self) -> None:
        """Store what is new now, as before the run is handed back."""
        with self._storing:
            try:
                self._store_checkpoint()
                self._store_log()
            except RunLost:
                raise
            except _AWAY as error:
                _LOG.warning("The copies of run %s are stored later: %s", self._run.id, error)

    def store_end(self, ended: Run) -> None:
        """Store the last lines of the log of this attempt, unless the run was taken from this worker."""
        if ended.attempt != self._run.attempt:
            return
        with self._storing:
            try:
                self._store_log(is_held=False)
            except RegistryError as error:
                _LOG.warning("The end of the log of run %s is not stored: %s", self._run.id, error)

    def _store_checkpoint(self) -> None:
        version = _version_of(self._checkpoint)
        if version is None or version == self._stored:
            return
        try:
            data = self._checkpoint.read_bytes()
        except FileNotFoundError:  # the run has just ended
            return
        self._put(CHECKPOINT, data)
        self._stored = version

    def _store_log(self, *, is_held: bool = True) -> None:
        """Store the part of the log that has grown; a part that is large enough is not changed again."""
        while True:
            try:
                with self._log.open("rb") as file:
                    file.seek(self._begins)
                    data = file.read(LOG_BYTES)
            except FileNotFoundError:
                return
            if self._begins + len(data) == self._ends:
                return
            # the path has the attempt in it, so no other worker writes the same file
            self._put(f"{LOG}{self._run.attempt:04d}-{self._part:04d}.txt", data, is_held=is_held)
            self._ends = self._begins + len(data)
            if len(data) < LOG_BYTES:
                return
            self._begins, self._part = self._ends, self._part + 1

    def _put(self, path: str, data: bytes, *, is_held: bool = True) -> None:
        lease = self._run.lease if is_held else None
        replaced = self._registry.run_files.put(self._run.id, path, data, lease=lease)
        if replaced is not None:
            self._registry.maintenance.release(replaced)

    def _watch(self) -> None:
        looks_per_log = max(1, round(LOG_SECONDS / self._interval))
        looks = 0
        while not self._ended.wait(self._interval):
            looks += 1
            try:
                with self._storing:
                    self._store_checkpoint()
                    if looks % looks_per_log == 0:
                        self._store_log()
            except RunLost:
                return  # the training thread notices it by its next heartbeat
            except _AWAY as error:
                _LOG.warning("The copies of run %s are stored later: %s", self._run.id, error)
            except Exception:  # noqa: BLE001 - the training does not depend on its copies
                _LOG.exception("The copies of run %s could not be stored. Trying again.", self._run.id)


def remove_checkpoints(registry: Registry) -> None:
    """Remove the stored checkpoints of runs that have ended for good, or leave it to the next call."""
    try:
        registry.maintenance.remove_run_files((CHECKPOINT,), statuses=("completed", "cancelled"))
    except RegistryError as error:
        _LOG.warning("Checkpoints of ended runs remain stored: %s", error)


def stored_log(registry: Registry, run_id: str, size: int) -> str:
    """Return the end of the stored log of a run, or an empty string.

    Args:
        registry: Registry with the run.
        run_id: Id of the run.
        size: Number of bytes from which the text is long enough.
    """
    parts: list[bytes] = []
    names = [name for name in registry.run_files.names(run_id) if name.startswith(LOG)]
    for name in reversed(names):
        parts.append(registry.run_files.read(run_id, name))
        if sum(map(len, parts)) >= size:
            break
    return b"".join(reversed(parts)).decode("utf-8", "replace")


def _version_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size
