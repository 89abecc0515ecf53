"""The first schema: bases, datasets, runs and their metrics, the catalog and its audit events."""

import sqlalchemy as sa
from alembic import op

from registry.database.migrations.triggers import refuse

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLOAT = sa.Double().with_variant(sa.REAL(), "sqlite")
# sorted and compared by bytes, as SQLite does
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

VERSION_CONTENT = (
    "id, adapter_id, version, run_id, base_id, dataset_id, manifest_sha256, weights_sha256, adapter_type, "
    "n_params, size_bytes, image_size, class_names, config, created_at"
)


def upgrade() -> None:
    """Create the tables and the triggers that protect versions and audit events."""
    _create_tables()
    refuse("adapter_versions", f"UPDATE OF {VERSION_CONTENT}", "a published version can not be changed")
    refuse("adapter_versions", "DELETE", "a published version can not be deleted, only withdrawn")
    refuse("audit_events", "UPDATE", "an audit event can not be changed")
    refuse("audit_events", "DELETE", "an audit event can not be deleted")


def _create_tables() -> None:
    op.create_table(
        "adapters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", TEXT, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("next_version", sa.Integer(), nullable=False),
        sa.Column("archived_at", TEXT, nullable=True),
        sa.Column("created_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adapters")),
        sa.UniqueConstraint("slug", name=op.f("uq_adapters_slug")),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_uid", TEXT, nullable=False),
        sa.Column("ts", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("entity_id", TEXT, nullable=False),
        sa.Column("payload", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        sa.UniqueConstraint("event_uid", name=op.f("uq_audit_events_event_uid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "bases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("weights_sha256", TEXT, nullable=False),
        sa.Column("architecture", TEXT, nullable=False),
        sa.Column("embed_dim", sa.Integer(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bases")),
        sa.UniqueConstraint("name", "weights_sha256", name=op.f("uq_bases_name_weights_sha256")),
    )
    op.create_table(
        "blobs",
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("media_type", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_blobs_sha256")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blobs")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("n_images", sa.Integer(), nullable=False),
        sa.Column("n_classes", sa.Integer(), nullable=False),
        sa.Column("source_kind", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_datasets_fingerprint")),
    )
    op.create_table(
        "dataset_classes",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("n_train", sa.Integer(), nullable=False),
        sa.Column("n_val", sa.Integer(), nullable=False),
        sa.Column("n_test", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_dataset_classes_dataset_id_datasets"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("dataset_id", "idx", name=op.f("pk_dataset_classes")),
        sa.UniqueConstraint("dataset_id", "name", name=op.f("uq_dataset_classes_dataset_id_name")),
    )
    op.create_table(
        "runs",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("slug", TEXT, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("base_id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("seed", BIG, nullable=False),
        sa.Column("config", TEXT, nullable=False),
        sa.Column("environment", TEXT, nullable=False),
        sa.Column("worker", TEXT, nullable=True),
        sa.Column("heartbeat_at", TEXT, nullable=True),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("started_at", TEXT, nullable=True),
        sa.Column("ended_at", TEXT, nullable=True),
        sa.Column("stage", TEXT, nullable=True),
        sa.Column("progress", FLOAT, nullable=False),
        sa.Column("eta_seconds", FLOAT, nullable=True),
        sa.Column("stop_request", TEXT, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("note", TEXT, nullable=True),
        sa.Column("resumed", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'interrupted')",
            name=op.f("ck_runs_status"),
        ),
        sa.CheckConstraint("stop_request IN ('cancel', 'keep')", name=op.f("ck_runs_stop_request")),
        sa.CheckConstraint("progress BETWEEN 0 AND 1", name=op.f("ck_runs_progress")),
        sa.ForeignKeyConstraint(
            ["base_id"], ["bases.id"], name=op.f("fk_runs_base_id_bases"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_runs_dataset_id_datasets"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_created_at"), "runs", ["created_at"])
    op.create_index(op.f("ix_runs_status_heartbeat_at"), "runs", ["status", "heartbeat_at"])
    op.create_table(
        "adapter_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("run_id", TEXT, nullable=True),
        sa.Column("base_id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=True),
        sa.Column("manifest_sha256", TEXT, nullable=False),
        sa.Column("weights_sha256", TEXT, nullable=False),
        sa.Column("adapter_type", TEXT, nullable=False),
        sa.Column("n_params", BIG, nullable=False),
        sa.Column("size_bytes", BIG, nullable=False),
        sa.Column("image_size", sa.Integer(), nullable=False),
        sa.Column("class_names", TEXT, nullable=False),
        sa.Column("config", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("withdrawn_at", TEXT, nullable=True),
        sa.Column("withdrawn_reason", TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["adapter_id"],
            ["adapters.id"],
            name=op.f("fk_adapter_versions_adapter_id_adapters"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["base_id"], ["bases.id"], name=op.f("fk_adapter_versions_base_id_bases"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_adapter_versions_dataset_id_datasets"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_adapter_versions_run_id_runs"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["weights_sha256"],
            ["blobs.sha256"],
            name=op.f("fk_adapter_versions_weights_sha256_blobs"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adapter_versions")),
        sa.UniqueConstraint("adapter_id", "id", name=op.f("uq_adapter_versions_adapter_id_id")),
        sa.UniqueConstraint(
            "adapter_id", "manifest_sha256", name=op.f("uq_adapter_versions_adapter_id_manifest_sha256")
        ),
        sa.UniqueConstraint("adapter_id", "version", name=op.f("uq_adapter_versions_adapter_id_version")),
    )
    op.create_index(op.f("ix_adapter_versions_run_id"), "adapter_versions", ["run_id"])
    op.create_table(
        "run_metrics",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("step", BIG, nullable=False),
        sa.Column("value", FLOAT, nullable=True),
        sa.Column("nonfinite", TEXT, nullable=True),
        sa.Column("ts", TEXT, nullable=False),
        sa.CheckConstraint("nonfinite IN ('nan', 'inf', '-inf')", name=op.f("ck_run_metrics_nonfinite")),
        sa.CheckConstraint(
            "(value IS NULL) = (nonfinite IS NOT NULL)", name=op.f("ck_run_metrics_one_value")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_metrics_run_id_runs"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("run_id", "key", "step", name=op.f("pk_run_metrics")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_params",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_params_run_id_runs"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("pk_run_params")),
    )
    op.create_table(
        "run_summary",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("last", FLOAT, nullable=False),
        sa.Column("last_step", BIG, nullable=False),
        sa.Column("minimum", FLOAT, nullable=False),
        sa.Column("min_step", BIG, nullable=False),
        sa.Column("maximum", FLOAT, nullable=False),
        sa.Column("max_step", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_summary_run_id_runs"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("pk_run_summary")),
    )
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("split", TEXT, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("accuracy", FLOAT, nullable=False),
        sa.Column("loss", FLOAT, nullable=False),
        sa.Column("macro_f1", FLOAT, nullable=False),
        sa.Column("linear_probe_accuracy", FLOAT, nullable=True),
        sa.Column("created_at", TEXT, nullable=False),
        sa.CheckConstraint("split IN ('validation', 'test')", name=op.f("ck_evaluations_split")),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["adapter_versions.id"],
            name=op.f("fk_evaluations_version_id_adapter_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        sa.UniqueConstraint("version_id", "split", name=op.f("uq_evaluations_version_id_split")),
    )
    op.create_table(
        "version_files",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"], ["blobs.sha256"], name=op.f("fk_version_files_sha256_blobs"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["adapter_versions.id"],
            name=op.f("fk_version_files_version_id_adapter_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("version_id", "path", name=op.f("pk_version_files")),
    )
