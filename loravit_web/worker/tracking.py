"""What a run tells the registry, also while the registry can't be written for a moment."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from loravit_web.errors import LoraVitError
from loravit_web.training.progress import Curve, TrainingStopped
from loravit_web.worker import run_log
from registry import DatabaseNotReadable, DatabaseNotWritable, Registry, RunLost, StopRequest

HEARTBEAT_SECONDS = 5.0
STALE_AFTER = timedelta(seconds=30)
"""A run whose heart has not beaten for so long has lost its process."""
PATIENCE_SECONDS = 300.0
"""How long a training goes on, or waits at its end, while the registry can't be written."""
_PAUSE_SECONDS = 1.0

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class TrainingInterrupted(Exception):
    """The process is asked to end; the run can be resumed."""


class RegistrySilent(LoraVitError):
    """What a training reports can't be stored."""


def patiently(
    write: Callable[[], T],
    terminate: threading.Event,
    *,
    patience: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Repeat a call that the database refuses, until it is done, patience ends or the process has to.

    Raises:
        DatabaseNotReadable, DatabaseNotWritable: the last refusal.
    """
    deadline = clock() + patience
    while True:
        try:
            return write()
        except (DatabaseNotReadable, DatabaseNotWritable) as error:
            if clock() > deadline or terminate.is_set():
                raise
            _LOG.warning("%s Trying again.", error)
            terminate.wait(_PAUSE_SECONDS)


class RunReporter:
    """A `Reporter` that writes into the registry and keeps the run's heart beating.

    A write that fails does not end the training: what was to be written is kept, in order, and the heart
    tries again, until `PATIENCE_SECONDS` have passed.

    Raises from every method: `TrainingStopped`, `TrainingInterrupted`, `RunLost`, `RegistrySilent`.
    """

    def __init__(
        self,
        registry: Registry,
        run_id: str,
        worker: str,
        terminate: threading.Event,
        *,
        clock: Callable[[], float] = time.monotonic,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        longest: float | None = None,
    ) -> None:
        """
        Args:
            longest: seconds after which the training has to end with the best so far.
        """
        self._runs, self._run_id, self._worker = registry.runs, run_id, worker
        self._terminate, self._clock, self._interval = terminate, clock, heartbeat_seconds
        self._request: StopRequest | None = None
        self._begun, self._longest = clock(), longest
        self._started = clock()
        self._first: float | None = None
        self._latest: tuple[str, float, float | None] | None = None
        self._unwritten: deque[Callable[[], None]] = deque()
        self._failing: tuple[float, DatabaseNotWritable] | None = None
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> RunReporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, stage: str, fraction: float) -> None:
        """See `Reporter`."""
        if self._latest is None or self._latest[0] != stage:
            run_log.tell(stage)
        self._latest = (stage, fraction, self._remaining(fraction))
        self._tell()

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """See `Reporter`."""
        run_log.tell(run_log.told_metrics(epoch, values))
        self._unwritten.append(self._point(epoch, values))
        self._tell()

    def begin(self, curve: Curve) -> None:
        """See `Reporter`."""
        last = max(curve, default=0)
        self._unwritten.append(lambda: self._runs.rewind(self._run_id, self._worker, last))
        self._unwritten.extend(self._point(epoch, values) for epoch, values in curve.items())
        self._tell()

    def stop_and_keep(self) -> bool:
        """See `Reporter`."""
        return self._request == "keep" or self.overdue

    @property
    def overdue(self) -> bool:
        """Whether the training takes longer than it may, and nobody asked for its end."""
        late = self._longest is not None and self._clock() - self._begun > self._longest
        return late and self._request is None

    def flush(self) -> None:
        """Write all that is not written yet; what is asked of the run does not matter any more.

        Raises:
            DatabaseNotWritable, RunLost: if it can't.
        """
        with self._writing:
            while self._unwritten:
                self._unwritten[0]()
                self._unwritten.popleft()

    def patiently(self, write: Callable[[], T]) -> T:
        """`patiently`, for a write of the run's own.

        Raises:
            TrainingInterrupted: if the process has to end before the write is done.
        """
        try:
            return patiently(write, self._terminate)
        except (DatabaseNotReadable, DatabaseNotWritable) as error:
            if self._terminate.is_set():
                raise TrainingInterrupted from error
            raise

    def _point(self, epoch: int, values: Mapping[str, float]) -> Callable[[], None]:
        kept = dict(values)
        return lambda: self._runs.log_metrics(self._run_id, epoch, kept, worker=self._worker)

    def _tell(self) -> None:
        if self._terminate.is_set():
            raise TrainingInterrupted
        failing = self._failing
        if failing is None:
            self._write()
        elif self._clock() - failing[0] > PATIENCE_SECONDS:
            raise RegistrySilent(
                f"The registry could not be written for {PATIENCE_SECONDS / 60:.0f} minutes "
                f"({failing[1].reason}): mend that and resume the run."
            ) from failing[1]
        if self._request == "cancel":
            raise TrainingStopped

    def _write(self) -> None:
        """Write what is waiting and beat; a refusal is remembered, not raised."""
        try:
            self.flush()
            stage, fraction, eta = self._latest or (None, None, None)
            self._request = self._runs.record_heartbeat(
                self._run_id, self._worker, stage=stage, progress=fraction, eta_seconds=eta
            )
        except DatabaseNotWritable as error:
            if self._failing is None:
                _LOG.warning("Run %s goes on although %s", self._run_id, error)
            self._failing = (self._failing[0] if self._failing else self._clock(), error)
        else:
            if self._failing is not None:
                _LOG.info("Run %s can be written again; nothing was lost.", self._run_id)
            self._failing = None

    def _remaining(self, fraction: float) -> float | None:
        """Seconds to go at the pace since the first report; None until that says something."""
        if self._first is None:
            self._first, self._started = fraction, self._clock()
        done = fraction - self._first
        if done < 0.02:
            return None
        return (self._clock() - self._started) * (1 - fraction) / done

    def _until_next(self) -> float:
        """Seconds to the next heartbeat: few after an outage, so that no observer waits for it in vain."""
        return self._interval if self._failing is None else min(self._interval, _PAUSE_SECONDS)

    def _beat(self) -> None:
        while not self._ended.wait(self._until_next()):
            try:
                self._write()
            except RunLost:
                self._failing = None  # so that the training thread meets the same error at its next report
                return
            except Exception:  # noqa: BLE001 - a missed beat is no reason to stop beating
                _LOG.exception("The heartbeat of run %s could not be written; trying again.", self._run_id)
