"""Nodes with workers, the claims of runs, and the stored files of datasets."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns alone, because a table that others refer to cannot be rebuilt."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    text = sa.Text() if on_sqlite else sa.Text(collation="C")
    node = "TEXT" if on_sqlite else 'TEXT COLLATE "C"'
    for name in ("attempt", "take_ups"):
        op.execute(f"ALTER TABLE runs ADD COLUMN {name} INTEGER DEFAULT 0 NOT NULL")
    op.execute(f"ALTER TABLE runs ADD COLUMN node {node}")
    op.create_index(op.f("ix_runs_created_by_started_at"), "runs", ["created_by", "started_at"])
    op.create_table(
        "nodes",
        sa.Column("id", text, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", text, nullable=False),
        sa.Column("seen_at", text, nullable=False),
        sa.CheckConstraint("slots > 0", name=op.f("ck_nodes_slots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
    )
    op.create_table(
        "dataset_files",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("path", text, nullable=False),
        sa.Column("sha256", text, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_dataset_files_dataset_id_datasets"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["sha256"], ["blobs.sha256"], name=op.f("fk_dataset_files_sha256_blobs"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("dataset_id", "path", name=op.f("pk_dataset_files")),
    )
