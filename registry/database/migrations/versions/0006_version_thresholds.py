"""Thresholds of a version's answers, beside the version, which never changes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FLOAT = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "version_thresholds",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unlike", FLOAT, nullable=True),
        sa.Column("unsure", FLOAT, nullable=True),
        sa.CheckConstraint("unlike > 0", name=op.f("ck_version_thresholds_unlike")),
        sa.CheckConstraint("unsure BETWEEN 0 AND 1", name=op.f("ck_version_thresholds_unsure")),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["adapter_versions.id"],
            name=op.f("fk_version_thresholds_version_id_adapter_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_version_thresholds")),
    )
