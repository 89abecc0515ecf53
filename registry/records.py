"""What the registry takes and hands out: frozen dataclasses, never database objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

RunStatus = Literal["queued", "running", "completed", "failed", "cancelled", "interrupted"]
EndStatus = Literal["completed", "failed", "cancelled", "interrupted"]
StopRequest = Literal["cancel", "keep"]
"""`cancel` throws the work away, `keep` publishes the best so far."""
Split = Literal["validation", "test"]
Role = Literal["viewer", "editor", "admin"]
AliasMoveKind = Literal["promoted", "rolled_back", "removed"]
ErrorKind = Literal["diverged", "memory", "disk", "data", "base", "stopped", "lost", "other"]
"""Why a run ended without being completed, as far as the next step depends on it."""


@dataclass(frozen=True, slots=True)
class NewBase:
    """A base as its loader knows it; the weights' SHA-256 is its identity, together with the name."""

    name: str
    weights_sha256: str
    architecture: str
    embed_dim: int
    depth: int


@dataclass(frozen=True, slots=True)
class Base:
    """A base known to the registry."""

    id: int
    name: str
    weights_sha256: str
    architecture: str
    embed_dim: int
    depth: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DatasetClass:
    """One class and its images per split; its position in the dataset is its index."""

    name: str
    n_train: int
    n_val: int
    n_test: int


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A dataset; `fingerprint` is its identity, the order of `classes` is part of its meaning."""

    fingerprint: str
    name: str
    source_kind: str
    classes: tuple[DatasetClass, ...]


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset without its classes."""

    fingerprint: str
    name: str
    n_images: int
    n_classes: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset known to the registry, its classes in index order."""

    id: int
    fingerprint: str
    name: str
    n_images: int
    n_classes: int
    source_kind: str
    created_at: datetime
    classes: tuple[DatasetClass, ...]


@dataclass(frozen=True, slots=True)
class NewRun:
    """A training to be recorded; `slug` names the adapter that it will publish."""

    slug: str
    title: str
    base_id: int
    dataset_id: int
    seed: int
    config: Mapping[str, Any]
    environment: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One training; `progress` is 0 to 1, `started_at` the last time a worker took it up."""

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
    created_by: str
    base: Base
    dataset: DatasetSummary
    published: str | None
    """The newest version that this run published, as `slug@2`."""

    @property
    def seconds(self) -> float | None:
        """Seconds that an ended run trained since a worker last took it up; None before that."""
        if self.started_at is None or self.ended_at is None:
            return None
        return round((self.ended_at - self.started_at).total_seconds(), 1)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where a run is; what changes while it goes on."""

    id: str
    status: RunStatus
    stage: str | None
    progress: float
    stop_request: StopRequest | None


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One value of a metric; `value` may be nan, inf or -inf."""

    step: int
    value: float


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """The finite values of one metric in short; of equal extremes the earliest step is named."""

    last: float
    last_step: int
    minimum: float
    min_step: int
    maximum: float
    max_step: int


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A stored file: its SHA-256 in hex and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class ClassMetric:
    """The results of one class, which its position names; fractions are 0 to 1, support is its images."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """How many images of one class were taken for another, or rightly for the same; by class index."""

    true_idx: int
    predicted_idx: int
    n: int


@dataclass(frozen=True, slots=True)
class NewEvaluation:
    """Results on one split; accuracies, macro F1 and the expected calibration error are 0 to 1.

    `classes` is one metric by class or empty; `confusion` holds every cell that counts an image, or nothing.
    """

    split: Split
    n: int
    accuracy: float
    loss: float
    macro_f1: float
    linear_probe_accuracy: float | None = None
    top5_accuracy: float | None = None
    calibration_error: float | None = None
    classes: tuple[ClassMetric, ...] = ()
    confusion: tuple[ConfusionCell, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results of a version on one split; accuracies, macro F1 and the calibration error are 0 to 1."""

    split: Split
    n: int
    accuracy: float
    loss: float
    macro_f1: float
    linear_probe_accuracy: float | None
    top5_accuracy: float | None
    calibration_error: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewVersion:
    """Everything that a publication consists of; `files` maps a relative path to bytes or to a local file.

    The adapter gets the `tags` beside those it has.
    """

    slug: str
    title: str
    description: str
    run_id: str | None
    base_id: int
    dataset_id: int | None
    adapter_type: str
    n_params: int
    image_size: int
    class_names: tuple[str, ...]
    config: Mapping[str, Any]
    files: Mapping[str, bytes | Path]
    weights_file: str = "adapter_model.safetensors"
    evaluations: tuple[NewEvaluation, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionFile:
    """One file of a version."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable, numbered publication of an adapter; title, description and owner are the adapter's."""

    id: int
    slug: str
    title: str
    description: str
    owner: str
    version: int
    run_id: str | None
    base: Base
    dataset_fingerprint: str | None
    adapter_type: str
    n_params: int
    size_bytes: int
    image_size: int
    class_names: tuple[str, ...]
    config: Mapping[str, Any]
    files: tuple[VersionFile, ...]
    weights_sha256: str
    manifest_sha256: str
    evaluations: tuple[Evaluation, ...]
    created_at: datetime
    created_by: str
    withdrawn_at: datetime | None
    withdrawn_reason: str | None

    @property
    def ref(self) -> str:
        """The version's name, such as `cifar10-objects@2`."""
        return f"{self.slug}@{self.version}"

    def evaluation(self, split: Split) -> Evaluation | None:
        """The results on `split`, or None when it was not evaluated there."""
        return next((one for one in self.evaluations if one.split == split), None)


@dataclass(frozen=True, slots=True)
class Alias:
    """A movable name for one version of an adapter; a protected one is moved only by those who may."""

    slug: str
    alias: str
    version: int
    protected: bool
    moved_at: datetime
    moved_by: str

    @property
    def ref(self) -> str:
        """The version that it names now, such as `cifar10-objects@2`."""
        return f"{self.slug}@{self.version}"


@dataclass(frozen=True, slots=True)
class AliasMove:
    """One change of what an alias names: version numbers, None where it named nothing."""

    alias: str
    kind: AliasMoveKind
    before: int | None
    after: int | None
    moved_at: datetime
    moved_by: str


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter; `newest` is its newest version that isn't withdrawn, `tags` and `aliases` are by name."""

    slug: str
    title: str
    description: str
    owner: str
    tags: tuple[str, ...]
    aliases: tuple[Alias, ...]
    created_at: datetime
    archived_at: datetime | None
    newest: Version | None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change of the catalog: who did what to which thing."""

    id: int
    event_uid: str
    ts: datetime
    actor: str
    kind: str
    entity: str
    entity_id: str
    payload: Mapping[str, Any]
