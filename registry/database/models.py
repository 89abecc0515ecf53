"""The tables. Constraints have names, so that a later migration can change each of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from registry.database.db import BigInt, ByteText, JsonText
from registry.database.table import Table as Table
from registry.records import UNKNOWN, Role, Split
from registry.run_records import ErrorKind, RunStatus, StopRequest


def references(column: str) -> ForeignKey:
    """Return a foreign key that prevents the deletion of rows that are still referred to."""
    return ForeignKey(column, ondelete="RESTRICT")


class UserRow(Table):
    """A user."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("provider", "subject"),
        CheckConstraint("role IN ('viewer', 'editor', 'admin')", name="role"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str]
    subject: Mapped[str]
    username: Mapped[str] = mapped_column(unique=True)
    role: Mapped[Role] = mapped_column(ByteText)
    created_at: Mapped[datetime]


class PasswordRow(Table):
    """The password hash of a user who signs in with the app itself."""

    __tablename__ = "user_passwords"

    user_id: Mapped[int] = mapped_column(references("users.id"), primary_key=True, autoincrement=False)
    hash: Mapped[str]
    set_at: Mapped[datetime]


class BaseRow(Table):
    """A base."""

    __tablename__ = "bases"
    __table_args__ = (UniqueConstraint("name", "weights_sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    weights_sha256: Mapped[str]
    architecture: Mapped[str]
    embed_dim: Mapped[int]
    depth: Mapped[int]
    created_at: Mapped[datetime]
    details: Mapped[dict[str, Any]] = mapped_column(JsonText, server_default="{}")


class BaseFileRow(Table):
    """A file of a base in the artifact store: its weights or its card."""

    __tablename__ = "base_files"

    base_id: Mapped[int] = mapped_column(references("bases.id"), primary_key=True, autoincrement=False)
    path: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(references("blobs.sha256"))


class DatasetRow(Table):
    """A dataset."""

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    n_images: Mapped[int]
    n_classes: Mapped[int]
    source_kind: Mapped[str]
    created_at: Mapped[datetime]


class DatasetClassRow(Table):
    """A class of a dataset, with its number of images per split."""

    __tablename__ = "dataset_classes"
    __table_args__ = (UniqueConstraint("dataset_id", "name"),)

    dataset_id: Mapped[int] = mapped_column(references("datasets.id"), primary_key=True)
    idx: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    n_train: Mapped[int]
    n_val: Mapped[int]
    n_test: Mapped[int]


class RunRow(Table):
    """A run."""

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'interrupted')",
            name="status",
        ),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
        CheckConstraint("stop_request IN ('cancel', 'keep')", name="stop_request"),
        CheckConstraint(
            "error_kind IN ('diverged', 'memory', 'disk', 'data', 'base', 'stopped', 'lost', 'other')",
            name="error_kind",
        ),
        Index(None, "status", "heartbeat_at"),
        Index(None, "created_at"),
        Index(None, "created_by", "started_at"),
        Index(None, "group_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    slug: Mapped[str]
    title: Mapped[str]
    status: Mapped[RunStatus] = mapped_column(ByteText)
    base_id: Mapped[int] = mapped_column(references("bases.id"))
    dataset_id: Mapped[int] = mapped_column(references("datasets.id"))
    seed: Mapped[int] = mapped_column(BigInt)
    config: Mapped[dict[str, Any]] = mapped_column(JsonText)
    environment: Mapped[dict[str, Any]] = mapped_column(JsonText)
    worker: Mapped[str | None]
    heartbeat_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    stage: Mapped[str | None]
    progress: Mapped[float]
    eta_seconds: Mapped[float | None]
    stop_request: Mapped[StopRequest | None] = mapped_column(ByteText)
    error: Mapped[str | None]
    note: Mapped[str | None]
    resumed: Mapped[int]
    created_by: Mapped[str] = mapped_column(server_default=UNKNOWN)
    error_kind: Mapped[ErrorKind | None] = mapped_column(ByteText)
    dataset_name: Mapped[str | None]
    dataset_revision: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    take_ups: Mapped[int] = mapped_column(server_default=text("0"))
    node: Mapped[str | None]
    group_id: Mapped[str | None]


class NodeRow(Table):
    """A process that starts workers on its machine, as it last reported."""

    __tablename__ = "nodes"
    __table_args__ = (CheckConstraint("slots > 0", name="slots"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    slots: Mapped[int]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class RunParamRow(Table):
    """A setting of a run under its dotted name."""

    __tablename__ = "run_params"

    run_id: Mapped[str] = mapped_column(references("runs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JsonText)


class RunMetricRow(Table):
    """A value of a metric. NaN and infinities have their own column, because SQLite stores NaN as NULL."""

    __tablename__ = "run_metrics"
    __table_args__ = (
        CheckConstraint("(value IS NULL) = (nonfinite IS NOT NULL)", name="one_value"),
        CheckConstraint("nonfinite IN ('nan', 'inf', '-inf')", name="nonfinite"),
        {"sqlite_with_rowid": False},
    )

    run_id: Mapped[str] = mapped_column(references("runs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInt, primary_key=True)
    value: Mapped[float | None]
    nonfinite: Mapped[str | None]
    ts: Mapped[datetime]


class RunSummaryRow(Table):
    """The summary of a metric of a run."""

    __tablename__ = "run_summary"

    run_id: Mapped[str] = mapped_column(references("runs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[float]
    last_step: Mapped[int] = mapped_column(BigInt)
    minimum: Mapped[float]
    min_step: Mapped[int] = mapped_column(BigInt)
    maximum: Mapped[float]
    max_step: Mapped[int] = mapped_column(BigInt)


class RunFileRow(Table):
    """A file that a run leaves beside its version, such as its predictions for each image."""

    __tablename__ = "run_files"

    run_id: Mapped[str] = mapped_column(references("runs.id"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(references("blobs.sha256"))


class DatasetFileRow(Table):
    """A file with images or records of a dataset, from which other machines fetch it."""

    __tablename__ = "dataset_files"

    dataset_id: Mapped[int] = mapped_column(references("datasets.id"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(references("blobs.sha256"))


class BlobRow(Table):
    """A stored file."""

    __tablename__ = "blobs"
    __table_args__ = (CheckConstraint("length(sha256) = 64", name="sha256"),)

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInt)
    media_type: Mapped[str]
    created_at: Mapped[datetime]


class AdapterRow(Table):
    """An adapter."""

    __tablename__ = "adapters"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    description: Mapped[str]
    next_version: Mapped[int] = mapped_column(default=1)
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    owner: Mapped[str] = mapped_column(server_default=UNKNOWN)


class AdapterTagRow(Table):
    """A tag of an adapter."""

    __tablename__ = "adapter_tags"
    __table_args__ = (Index(None, "tag"),)

    adapter_id: Mapped[int] = mapped_column(references("adapters.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)


class VersionRow(Table):
    """A version. Triggers refuse every deletion and every change except a withdrawal."""

    __tablename__ = "adapter_versions"
    __table_args__ = (
        UniqueConstraint("adapter_id", "version"),
        UniqueConstraint("adapter_id", "manifest_sha256"),
        # the target of the composite foreign key of aliases
        UniqueConstraint("adapter_id", "id"),
        Index(None, "run_id"),
        Index(None, "base_id"),
        Index(None, "dataset_id"),
        Index(None, "weights_sha256"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    adapter_id: Mapped[int] = mapped_column(references("adapters.id"))
    version: Mapped[int]
    run_id: Mapped[str | None] = mapped_column(references("runs.id"))
    base_id: Mapped[int] = mapped_column(references("bases.id"))
    dataset_id: Mapped[int | None] = mapped_column(references("datasets.id"))
    manifest_sha256: Mapped[str]
    weights_sha256: Mapped[str] = mapped_column(references("blobs.sha256"))
    adapter_type: Mapped[str]
    n_params: Mapped[int] = mapped_column(BigInt)
    size_bytes: Mapped[int] = mapped_column(BigInt)
    image_size: Mapped[int]
    class_names: Mapped[list[str]] = mapped_column(JsonText)
    config: Mapped[dict[str, Any]] = mapped_column(JsonText)
    created_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_reason: Mapped[str | None]
    created_by: Mapped[str] = mapped_column(server_default=UNKNOWN)


class VersionThresholdsRow(Table):
    """Thresholds of a version's answers, which may change although the version does not.

    A version without a row, or a column without a value, is as trained.
    """

    __tablename__ = "version_thresholds"
    __table_args__ = (
        CheckConstraint("unlike > 0", name="unlike"),
        CheckConstraint("unsure BETWEEN 0 AND 1", name="unsure"),
    )

    version_id: Mapped[int] = mapped_column(
        references("adapter_versions.id"), primary_key=True, autoincrement=False
    )
    unlike: Mapped[float | None]
    unsure: Mapped[float | None]


class VersionClassTitlesRow(Table):
    """Titles of classes of a version, which may change although the version does not.

    A version without a row has the names of its training.
    """

    __tablename__ = "version_class_titles"

    version_id: Mapped[int] = mapped_column(
        references("adapter_versions.id"), primary_key=True, autoincrement=False
    )
    titles: Mapped[dict[str, str]] = mapped_column(JsonText)


class AliasRow(Table):
    """An alias. Its composite foreign key ensures that it names a version of its own adapter."""

    __tablename__ = "adapter_aliases"
    __table_args__ = (
        ForeignKeyConstraint(
            ["adapter_id", "version_id"],
            ["adapter_versions.adapter_id", "adapter_versions.id"],
            ondelete="RESTRICT",
        ),
        CheckConstraint("alias <> 'latest'", name="latest_is_computed"),
        # an alias never looks like a version number
        CheckConstraint("substr(alias, 1, 1) BETWEEN 'a' AND 'z'", name="letter"),
        CheckConstraint("protected IN (0, 1)", name="protected"),
    )

    adapter_id: Mapped[int] = mapped_column(references("adapters.id"), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    version_id: Mapped[int]
    moved_at: Mapped[datetime]
    moved_by: Mapped[str]
    protected: Mapped[int]


class AdapterSummaryRow(Table):
    """The case-folded texts of an adapter, for lists, filters and searches, and the version of its name.

    That is the version of the alias `default`, or else the newest that is not withdrawn.
    """

    __tablename__ = "adapter_summaries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["adapter_id", "newest_id"],
            ["adapter_versions.adapter_id", "adapter_versions.id"],
            ondelete="RESTRICT",
        ),
        Index(None, "published_at"),
    )

    adapter_id: Mapped[int] = mapped_column(references("adapters.id"), primary_key=True)
    document: Mapped[str]
    versions: Mapped[int]
    newest_id: Mapped[int | None]
    base_id: Mapped[int | None] = mapped_column(references("bases.id"))
    adapter_type: Mapped[str | None]
    accuracy: Mapped[float | None]
    published_at: Mapped[datetime | None]


class VersionFileRow(Table):
    """A file of a version. Each deletion of a blob uses the index to check that nothing refers to it."""

    __tablename__ = "version_files"
    __table_args__ = (Index(None, "sha256"),)

    version_id: Mapped[int] = mapped_column(references("adapter_versions.id"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(references("blobs.sha256"))


class EvaluationRow(Table):
    """Results of a version on a split."""

    __tablename__ = "evaluations"
    __table_args__ = (
        UniqueConstraint("version_id", "split"),
        CheckConstraint("split IN ('validation', 'test')", name="split"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(references("adapter_versions.id"))
    split: Mapped[Split] = mapped_column(ByteText)
    n: Mapped[int]
    accuracy: Mapped[float]
    loss: Mapped[float]
    macro_f1: Mapped[float]
    linear_probe_accuracy: Mapped[float | None]
    created_at: Mapped[datetime]
    top5_accuracy: Mapped[float | None]
    calibration_error: Mapped[float | None]
    mean_average_precision: Mapped[float | None]
    micro_f1: Mapped[float | None]


class ClassMetricRow(Table):
    """Results for a class."""

    __tablename__ = "class_metrics"
    __table_args__ = (
        CheckConstraint("support >= 0", name="support"),
        CheckConstraint(
            "precision BETWEEN 0 AND 1 AND recall BETWEEN 0 AND 1 AND f1 BETWEEN 0 AND 1", name="fractions"
        ),
    )

    evaluation_id: Mapped[int] = mapped_column(references("evaluations.id"), primary_key=True)
    idx: Mapped[int] = mapped_column(primary_key=True)
    precision: Mapped[float]
    recall: Mapped[float]
    f1: Mapped[float]
    support: Mapped[int]
    average_precision: Mapped[float | None]


class ConfusionCellRow(Table):
    """A cell of a confusion matrix that counts at least one image."""

    __tablename__ = "confusion_cells"
    __table_args__ = (CheckConstraint("n > 0", name="n"),)

    evaluation_id: Mapped[int] = mapped_column(references("evaluations.id"), primary_key=True)
    true_idx: Mapped[int] = mapped_column(primary_key=True)
    predicted_idx: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int]


class InferenceStatRow(Table):
    """Usage counters of a version within an hour. There are no rows per request, images or addresses."""

    __tablename__ = "inference_stats"
    __table_args__ = (CheckConstraint("errors BETWEEN 0 AND n", name="errors"),)

    version_id: Mapped[int] = mapped_column(references("adapter_versions.id"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(BigInt)
    errors: Mapped[int] = mapped_column(BigInt)
    sum_ms: Mapped[float]
    max_ms: Mapped[float]


class AuditEventRow(Table):
    """An audit event. Triggers refuse every change and deletion, and ids are never reused."""

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "entity", "entity_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    event_uid: Mapped[str] = mapped_column(unique=True)
    ts: Mapped[datetime]
    actor: Mapped[str]
    kind: Mapped[str]
    entity: Mapped[str]
    entity_id: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JsonText)
