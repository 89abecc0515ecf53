"""Users, aliases, tags, results per class, usage counters and summaries of adapters."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from registry.database.migrations.triggers import allow, refuse

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLOAT = sa.Double().with_variant(sa.REAL(), "sqlite")
# sorted and compared by bytes, as SQLite does
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

VERSION_CONTENT = (
    "id, adapter_id, version, run_id, base_id, dataset_id, manifest_sha256, weights_sha256, adapter_type, "
    "n_params, size_bytes, image_size, class_names, config, created_at, created_by"
)
OF_VERSIONS = {
    "version_files": "the files of a published version",
    "evaluations": "an evaluation",
    "class_metrics": "an evaluation",
    "confusion_cells": "an evaluation",
}


def upgrade() -> None:
    """Add the tables and columns, fill them from existing rows, and protect them by triggers."""
    _create_users()
    _add_columns()
    _create_catalog()
    _create_results()
    allow("adapter_versions", "UPDATE")
    _fill_created_by()
    _fill_summaries()
    _refuse_changes()


def _restricted(columns: list[str], targets: list[str], name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(columns, targets, name=op.f(name), ondelete="RESTRICT")


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("username", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'editor', 'admin')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("provider", "subject", name=op.f("uq_users_provider_subject")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )


def _add_columns() -> None:
    """Add the columns one by one, because a table that others refer to cannot be rebuilt."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    double, text = ("REAL", "TEXT") if sqlite else ("DOUBLE PRECISION", 'TEXT COLLATE "C"')
    for table, column in (
        ("bases", f"details {text} DEFAULT '{{}}' NOT NULL"),
        ("runs", f"created_by {text} DEFAULT 'unknown' NOT NULL"),
        (
            "runs",
            f"error_kind {text} CONSTRAINT ck_runs_error_kind CHECK (error_kind IN "
            "('diverged', 'memory', 'disk', 'data', 'base', 'stopped', 'lost', 'other'))",
        ),
        ("adapters", f"owner {text} DEFAULT 'unknown' NOT NULL"),
        ("adapter_versions", f"created_by {text} DEFAULT 'unknown' NOT NULL"),
        ("evaluations", f"top5_accuracy {double}"),
        ("evaluations", f"calibration_error {double}"),
    ):
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    op.create_index(op.f("ix_adapter_versions_base_id"), "adapter_versions", ["base_id"])
    op.create_index(op.f("ix_adapter_versions_dataset_id"), "adapter_versions", ["dataset_id"])
    op.create_index(op.f("ix_adapter_versions_weights_sha256"), "adapter_versions", ["weights_sha256"])
    op.create_index(op.f("ix_version_files_sha256"), "version_files", ["sha256"])


def _create_catalog() -> None:
    op.create_table(
        "adapter_tags",
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        _restricted(["adapter_id"], ["adapters.id"], "fk_adapter_tags_adapter_id_adapters"),
        sa.PrimaryKeyConstraint("adapter_id", "tag", name=op.f("pk_adapter_tags")),
    )
    op.create_index(op.f("ix_adapter_tags_tag"), "adapter_tags", ["tag"])
    op.create_table(
        "adapter_aliases",
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("alias", TEXT, nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("moved_at", TEXT, nullable=False),
        sa.Column("moved_by", TEXT, nullable=False),
        sa.Column("protected", sa.Integer(), nullable=False),
        sa.CheckConstraint("alias <> 'latest'", name=op.f("ck_adapter_aliases_latest_is_computed")),
        sa.CheckConstraint("substr(alias, 1, 1) BETWEEN 'a' AND 'z'", name=op.f("ck_adapter_aliases_letter")),
        sa.CheckConstraint("protected IN (0, 1)", name=op.f("ck_adapter_aliases_protected")),
        _restricted(["adapter_id"], ["adapters.id"], "fk_adapter_aliases_adapter_id_adapters"),
        _restricted(
            ["adapter_id", "version_id"],
            ["adapter_versions.adapter_id", "adapter_versions.id"],
            "fk_adapter_aliases_adapter_id_version_id_adapter_versions",
        ),
        sa.PrimaryKeyConstraint("adapter_id", "alias", name=op.f("pk_adapter_aliases")),
    )
    op.create_table(
        "adapter_summaries",
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("document", TEXT, nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("newest_id", sa.Integer(), nullable=True),
        sa.Column("base_id", sa.Integer(), nullable=True),
        sa.Column("adapter_type", TEXT, nullable=True),
        sa.Column("accuracy", FLOAT, nullable=True),
        sa.Column("published_at", TEXT, nullable=True),
        _restricted(["adapter_id"], ["adapters.id"], "fk_adapter_summaries_adapter_id_adapters"),
        _restricted(["base_id"], ["bases.id"], "fk_adapter_summaries_base_id_bases"),
        _restricted(
            ["adapter_id", "newest_id"],
            ["adapter_versions.adapter_id", "adapter_versions.id"],
            "fk_adapter_summaries_adapter_id_newest_id_adapter_versions",
        ),
        sa.PrimaryKeyConstraint("adapter_id", name=op.f("pk_adapter_summaries")),
    )
    op.create_index(op.f("ix_adapter_summaries_published_at"), "adapter_summaries", ["published_at"])


def _create_results() -> None:
    op.create_table(
        "run_files",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        _restricted(["run_id"], ["runs.id"], "fk_run_files_run_id_runs"),
        _restricted(["sha256"], ["blobs.sha256"], "fk_run_files_sha256_blobs"),
        sa.PrimaryKeyConstraint("run_id", "path", name=op.f("pk_run_files")),
    )
    op.create_table(
        "class_metrics",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("precision", FLOAT, nullable=False),
        sa.Column("recall", FLOAT, nullable=False),
        sa.Column("f1", FLOAT, nullable=False),
        sa.Column("support", sa.Integer(), nullable=False),
        sa.CheckConstraint("support >= 0", name=op.f("ck_class_metrics_support")),
        sa.CheckConstraint(
            "precision BETWEEN 0 AND 1 AND recall BETWEEN 0 AND 1 AND f1 BETWEEN 0 AND 1",
            name=op.f("ck_class_metrics_fractions"),
        ),
        _restricted(["evaluation_id"], ["evaluations.id"], "fk_class_metrics_evaluation_id_evaluations"),
        sa.PrimaryKeyConstraint("evaluation_id", "idx", name=op.f("pk_class_metrics")),
    )
    op.create_table(
        "confusion_cells",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("true_idx", sa.Integer(), nullable=False),
        sa.Column("predicted_idx", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.CheckConstraint("n > 0", name=op.f("ck_confusion_cells_n")),
        _restricted(["evaluation_id"], ["evaluations.id"], "fk_confusion_cells_evaluation_id_evaluations"),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "true_idx", "predicted_idx", name=op.f("pk_confusion_cells")
        ),
    )
    op.create_table(
        "inference_stats",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("hour", TEXT, nullable=False),
        sa.Column("n", BIG, nullable=False),
        sa.Column("errors", BIG, nullable=False),
        sa.Column("sum_ms", FLOAT, nullable=False),
        sa.Column("max_ms", FLOAT, nullable=False),
        sa.CheckConstraint("errors BETWEEN 0 AND n", name=op.f("ck_inference_stats_errors")),
        _restricted(
            ["version_id"], ["adapter_versions.id"], "fk_inference_stats_version_id_adapter_versions"
        ),
        sa.PrimaryKeyConstraint("version_id", "hour", name=op.f("pk_inference_stats")),
    )


def _refuse_changes() -> None:
    refuse("adapter_versions", f"UPDATE OF {VERSION_CONTENT}", "a published version can not be changed")
    for table, what in OF_VERSIONS.items():
        refuse(table, "UPDATE", f"{what} can not be changed")
        refuse(table, "DELETE", f"{what} can not be deleted")
    refuse("adapters", "DELETE", "an adapter can not be deleted, only archived")
    refuse(
        "adapters",
        "UPDATE OF next_version",
        "the number of a version is never given again",
        when="NEW.next_version < OLD.next_version",
    )


def _fill_created_by() -> None:
    """Fill in the authors from the audit events; the author of the first version owns the adapter."""
    op.execute(
        "UPDATE adapter_versions SET created_by = coalesce((SELECT e.actor FROM audit_events e "
        "JOIN adapters a ON a.id = adapter_versions.adapter_id WHERE e.kind = 'published' "
        "AND e.entity_id = a.slug || '@' || adapter_versions.version ORDER BY e.id LIMIT 1), 'unknown')"
    )
    op.execute(
        "UPDATE adapters SET owner = coalesce((SELECT v.created_by FROM adapter_versions v "
        "WHERE v.adapter_id = adapters.id ORDER BY v.version LIMIT 1), 'unknown')"
    )


def _fill_summaries() -> None:
    connection = op.get_bind()
    adapters = connection.execute(sa.text("SELECT id, slug, title, description FROM adapters")).all()
    for adapter in adapters:
        connection.execute(
            sa.text(
                "INSERT INTO adapter_summaries (adapter_id, document, versions, newest_id, base_id, "
                "adapter_type, accuracy, published_at) VALUES (:adapter_id, :document, :versions, "
                ":newest_id, :base_id, :adapter_type, :accuracy, :published_at)"
            ),
            _summary(connection, *adapter),
        )


def _summary(
    connection: sa.Connection, adapter_id: int, slug: str, title: str, description: str
) -> dict[str, Any]:
    versions = connection.execute(
        sa.text(
            "SELECT v.id, v.base_id, v.adapter_type, v.created_at, v.class_names, v.withdrawn_at, "
            "(SELECT e.accuracy FROM evaluations e WHERE e.version_id = v.id ORDER BY e.split LIMIT 1) "
            "AS accuracy FROM adapter_versions v WHERE v.adapter_id = :id ORDER BY v.version DESC"
        ),
        {"id": adapter_id},
    ).all()
    newest = next((one for one in versions if one.withdrawn_at is None), None)
    classes = json.loads(newest.class_names) if newest is not None else []
    return {
        "adapter_id": adapter_id,
        "document": "\n".join([slug, title, description, *classes]).casefold(),
        "versions": len(versions),
        "newest_id": newest.id if newest is not None else None,
        "base_id": newest.base_id if newest is not None else None,
        "adapter_type": newest.adapter_type if newest is not None else None,
        "accuracy": newest.accuracy if newest is not None else None,
        "published_at": newest.created_at if newest is not None else None,
    }
