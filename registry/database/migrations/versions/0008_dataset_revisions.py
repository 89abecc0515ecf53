"""The revision of the data that a run trains on, and titles of classes beside a version."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column alone, because a table that others refer to cannot be rebuilt."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    text = "TEXT" if on_sqlite else 'TEXT COLLATE "C"'
    op.execute(f"ALTER TABLE runs ADD COLUMN dataset_revision {text}")
    op.create_table(
        "version_class_titles",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("titles", sa.Text() if on_sqlite else sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["adapter_versions.id"],
            name=op.f("fk_version_class_titles_version_id_adapter_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_version_class_titles")),
    )
