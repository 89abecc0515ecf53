"""The name that the user who trains has for a dataset, which others may have imported under other names."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column alone, because a table that others refer to cannot be rebuilt."""
    text = "TEXT" if op.get_bind().dialect.name == "sqlite" else 'TEXT COLLATE "C"'
    op.execute(f"ALTER TABLE runs ADD COLUMN dataset_name {text}")
