"""Records of runs and their metrics; see `registry.records`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from registry.records import Base, DatasetSummary

RunStatus = Literal["queued", "running", "completed", "failed", "cancelled", "interrupted"]
EndStatus = Literal["completed", "failed", "cancelled", "interrupted"]
StopRequest = Literal["cancel", "keep"]
"""`cancel` discards the work; `keep` publishes the best epoch so far."""
ErrorKind = Literal["diverged", "memory", "disk", "data", "base", "stopped", "lost", "other"]
"""Why a run ended without completing, as far as it decides what to do next."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of a worker to write a run, which it loses when the run is taken from it.

    Every write of a worker carries its lease, so that a worker that was cut off cannot write later.

    Attributes:
        worker: the worker that claimed the run.
        attempt: the number of the claim, from 1. A worker that claims the run again gets another one.
    """

    run_id: str
    worker: str
    attempt: int


@dataclass(frozen=True, slots=True)
class NewRun:
    """A training to be recorded.

    Attributes:
        slug: the adapter that the run will publish a version of.
        title: the title of that adapter.
        config: the settings of the training, as plain JSON.
        environment: versions of programs and hardware, as plain JSON.
        dataset_name: what the user who trains calls the dataset; None for the name of its registration.
        dataset_revision: what changed since the revision of the data before, as plain JSON; None for data
            as it was imported.
        group: the id of the group that the run belongs to, such as a sweep; None for a run of its own.
    """

    slug: str
    title: str
    base_id: int
    dataset_id: int
    seed: int
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    dataset_name: str | None = None
    dataset_revision: Mapping[str, Any] | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded training.

    Attributes:
        worker: the worker that trains it, or trained it last.
        started_at: when a worker last claimed it.
        progress: the fraction that is done, 0 to 1.
        eta_seconds: the estimated remaining time in seconds.
        resumed: how often it was queued again.
        attempt: how often it was claimed.
        take_ups: how often it was queued again without a person since a person last queued it.
        node: the node of its worker; None if that is none.
        dataset: the dataset, under the name that the user who trains has for it.
        published: the newest version that it published, as `slug@2`.
        dataset_revision: see `NewRun`.
        group: see `NewRun`.
    """

    id: str
    slug: str
    title: str
    status: RunStatus
    base_id: int
    dataset_id: int
    seed: int
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    worker: str | None
    heartbeat_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    stage: str | None
    progress: float
    eta_seconds: float | None
    stop_request: StopRequest | None
    error: str | None
    error_kind: ErrorKind | None
    note: str | None
    resumed: int
    attempt: int
    take_ups: int
    node: str | None
    created_by: str
    base: Base
    dataset: DatasetSummary
    published: str | None
    dataset_revision: Mapping[str, Any] | None = None
    group: str | None = None

    @property
    def lease(self) -> Lease:
        """The right of its worker to write it. Without a worker, every write refuses it."""
        return Lease(self.id, self.worker or "", self.attempt)

    @property
    def seconds(self) -> float | None:
        """Duration of an ended run in seconds since a worker last claimed it; None before that."""
        if self.started_at is None or self.ended_at is None:
            return None
        return round((self.ended_at - self.started_at).total_seconds(), 1)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The parts of a run that change while it is trained. `progress` is 0 to 1."""

    id: str
    status: RunStatus
    stage: str | None
    progress: float
    stop_request: StopRequest | None


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """A value of a metric at a step. `value` may be nan, inf or -inf."""

    step: int
    value: float


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A summary of the finite values of a metric. Among equal extremes, the earliest step is named."""

    last: float
    last_step: int
    minimum: float
    min_step: int
    maximum: float
    max_step: int
