"""Reports of a run to the registry, which also survive short outages of the registry."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from loravit_web.errors import LoraVitError
from loravit_web.training.progress import Curve, TrainingStopped
from loravit_web.worker import run_log
from registry import (
    BlobNotStored,
    BlobStoreUnreachable,
    DatabaseNotReadable,
    DatabaseNotWritable,
    Lease,
    Registry,
    RunLost,
    StopRequest,
)

if TYPE_CHECKING:  # the shell reads the times below, without torch
    from loravit_web.adapters.adapter import Adapter
    from loravit_web.backbones.base import Base
    from loravit_web.training.evaluation import Evaluation

HEARTBEAT_SECONDS = 5.0
"""Seconds between two heartbeats."""
STALE_AFTER = timedelta(seconds=30)
"""Time without a heartbeat after which the process of a run is considered gone."""
RETRY_SECONDS = 300.0
"""Seconds for which a training continues, or waits at its end, while the registry cannot be written."""
_PAUSE_SECONDS = 1.0
_Errors = tuple[type[Exception], ...]
_STORE_AWAY: _Errors = (BlobNotStored, BlobStoreUnreachable)
_DATABASE_AWAY: _Errors = (DatabaseNotReadable, DatabaseNotWritable)

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class TrainingInterrupted(Exception):
    """The process has to end; the run can be resumed."""


class RegistryUnwritable(LoraVitError):
    """A registry that could not be written for `RETRY_SECONDS`."""


def retry_writes(
    write: Callable[[], T],
    terminate: threading.Event,
    *,
    also: _Errors = (),
    seconds: float = RETRY_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Repeat a call that the database rejects until it succeeds, time is over, or the process has to end.

    Args:
        write: The call.
        terminate: Event that is set if the process has to end.
        also: Further errors after which the call is repeated.
        seconds: Seconds for which the call is repeated.
        clock: Returns the time in seconds.

    Raises:
        DatabaseNotReadable: If the last call failed to read.
        DatabaseNotWritable: If the last call failed to write.
    """
    deadline = clock() + seconds
    repeated = (*_DATABASE_AWAY, *also)
    while True:
        try:
            return write()
        except repeated as error:
            if clock() > deadline or terminate.is_set():
                raise
            _LOG.warning("%s Trying again.", error)
            terminate.wait(_PAUSE_SECONDS)


class RunReporter:
    """A `Reporter` that writes to the registry and sends heartbeats.

    Attributes:
        after_epoch: Called with the number of each completed epoch; may raise `TrainingStopped`.

    A failed write does not end the training: it is kept in order and repeated with the heartbeats until
    `RETRY_SECONDS` have passed. Every method may raise `TrainingStopped`, `TrainingInterrupted`, `RunLost` or
    `RegistryUnwritable`.

    Args:
        registry: Registry with the run.
        lease: Run of this worker.
        terminate: Event that is set if the process has to end.
        clock: Returns the time in seconds.
        heartbeat_seconds: Seconds between two heartbeats.
        max_seconds: Seconds after which the training has to end with the best epoch so far.
    """

    def __init__(
        self,
        registry: Registry,
        lease: Lease,
        terminate: threading.Event,
        *,
        clock: Callable[[], float] = time.monotonic,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        max_seconds: float | None = None,
    ) -> None:
        self._runs, self._lease, self._run_id = registry.runs, lease, lease.run_id
        self._files = registry.run_files
        self._terminate, self._clock, self._interval = terminate, clock, heartbeat_seconds
        self.after_epoch: Callable[[int], None] | None = None
        self._request: StopRequest | None = None
        self._begun, self._max_seconds = clock(), max_seconds
        self._started = clock()
        self._first: float | None = None
        self._latest: tuple[str, float, float | None] | None = None
        self._pending: deque[Callable[[], None]] = deque()
        self._failing: tuple[float, DatabaseNotWritable] | None = None
        # a store on this machine that refuses a file is full, and one elsewhere may only be away
        self._store_errors: _Errors = _STORE_AWAY if registry.blobs.folder is None else ()
        self._writing = threading.Lock()
        self._ended = threading.Event()
        # two threads, because a heartbeat must not wait until other writes get their turn
        self._thread = self._repeating("heartbeat", self._send_heartbeat, lambda: True)
        self._flusher = self._repeating("reports", self.flush, lambda: bool(self._pending))

    def __enter__(self) -> RunReporter:
        self._thread.start()
        self._flusher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._flusher.join()

    def report(self, stage: str, fraction: float) -> None:
        """Write the stage and the completed fraction; see `Reporter.report`."""
        if self._latest is None or self._latest[0] != stage:
            run_log.log_step(stage)
        self._latest = (stage, fraction, self._remaining(fraction))
        self._send()

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the metrics of an epoch; see `Reporter.metrics`."""
        run_log.log_step(run_log.metrics_line(epoch, values))
        self._pending.append(self._point(epoch, values))
        self._send()
        if epoch and self.after_epoch is not None:
            self.after_epoch(epoch)

    def begin(self, curve: Curve) -> None:
        """Remove metrics of later epochs and write those of the curve; see `Reporter.begin`."""
        last = max(curve, default=0)
        self._pending.append(lambda: self._runs.rewind(self._lease, last))
        self._pending.extend(self._point(epoch, values) for epoch, values in curve.items())
        self._send()

    def first_answer(self, adapter: Adapter, base: Base, evaluation: Evaluation) -> None:
        """Store the probe with its evaluation as files of the run; see `Reporter.first_answer`.

        If the artifact store refuses them, the training continues without a first answer.
        """
        seconds = self._clock() - self._begun
        run_log.log_step(f"First answer after {seconds:.0f} s")
        # Imported here because it loads torch, which the shell does not need to read a run.
        from loravit_web.adapters.files.first_answer import FirstAnswer, write_first_answer

        answer = FirstAnswer(
            seconds,
            adapter.class_names,
            evaluation.n,
            evaluation.accuracy,
            evaluation.confusion,
            evaluation.mean_average_precision,
        )
        files = write_first_answer(adapter, base, answer)
        self._pending.append(lambda: self._store(files))
        self._send()

    def stop_and_keep(self) -> bool:
        """Return whether a user or the time limit ends the training; see `Reporter.stop_and_keep`."""
        return self._request == "keep" or self.overdue

    @property
    def overdue(self) -> bool:
        """Whether the training exceeds its time limit and no user requested its end."""
        late = self._max_seconds is not None and self._clock() - self._begun > self._max_seconds
        return late and self._request is None

    def flush(self) -> None:
        """Write everything that is not yet written; stop requests are no longer read.

        Raises:
            DatabaseNotWritable: If the registry cannot be written.
            RunLost: If the run was taken from this worker.
        """
        with self._writing:
            while self._pending:
                self._pending[0]()
                self._pending.popleft()

    def retry_writes(self, write: Callable[[], T]) -> T:
        """Repeat a write of the run, also while a store elsewhere does not answer; see `retry_writes`.

        Raises:
            TrainingInterrupted: If the process has to end before the write succeeds.
        """
        repeated = (*_DATABASE_AWAY, *self._store_errors)
        try:
            return retry_writes(write, self._terminate, also=self._store_errors)
        except repeated as error:
            if self._terminate.is_set():
                raise TrainingInterrupted from error
            raise

    def _point(self, epoch: int, values: Mapping[str, float]) -> Callable[[], None]:
        kept = dict(values)
        return lambda: self._runs.log_metrics(self._run_id, epoch, kept, lease=self._lease)

    def _store(self, files: Mapping[str, bytes]) -> None:
        try:
            for name, data in files.items():
                self._files.put(self._run_id, name, data, lease=self._lease)
        except _STORE_AWAY as error:
            _LOG.warning("Run %s continues without a first answer: %s", self._run_id, error)

    def _send(self) -> None:
        if self._terminate.is_set():
            raise TrainingInterrupted
        failing = self._failing
        if failing is None:
            self._write()
        elif self._clock() - failing[0] > RETRY_SECONDS:
            raise RegistryUnwritable(
                f"The registry could not be written for {RETRY_SECONDS / 60:.0f} minutes "
                f"({failing[1].reason}). Solve this problem and resume the run."
            ) from failing[1]
        if self._request == "cancel":
            raise TrainingStopped

    def _write(self) -> None:
        """Write a heartbeat and what is pending; an error is kept, not raised."""

        def both() -> None:
            self._send_heartbeat()
            self.flush()

        self._attempt(both)

    def _send_heartbeat(self) -> None:
        stage, fraction, eta = self._latest or (None, None, None)
        self._request = self._runs.record_heartbeat(
            self._lease, stage=stage, progress=fraction, eta_seconds=eta
        )

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except DatabaseNotWritable as error:
            if self._failing is None:
                _LOG.warning("Run %s continues although the registry rejects writes: %s", self._run_id, error)
            self._failing = (self._failing[0] if self._failing else self._clock(), error)
        else:
            if self._failing is not None and not self._pending:
                _LOG.info("Run %s can be written again. Nothing was lost.", self._run_id)
                self._failing = None

    def _remaining(self, fraction: float) -> float | None:
        """Return the remaining seconds at the pace so far, or None until that is meaningful."""
        if self._first is None:
            self._first, self._started = fraction, self._clock()
        done = fraction - self._first
        if done < 0.02:
            return None
        return (self._clock() - self._started) * (1 - fraction) / done

    def _until_next(self) -> float:
        """Return the seconds to the next heartbeat; few after an outage, so that observers see it soon."""
        return self._interval if self._failing is None else min(self._interval, _PAUSE_SECONDS)

    def _repeating(
        self, name: str, write: Callable[[], None], is_due: Callable[[], bool]
    ) -> threading.Thread:
        """Return a thread that repeats a write until the run ends or is lost."""

        def repeat() -> None:
            while not self._ended.wait(self._until_next()):
                try:
                    if is_due():
                        self._attempt(write)
                except RunLost:
                    self._failing = None  # the training thread gets the same error at its next report
                    return
                except Exception:  # noqa: BLE001 - a failed write is repeated
                    _LOG.exception("The %s of run %s cannot be written. Trying again.", name, self._run_id)

        return threading.Thread(target=repeat, name=name, daemon=True)
