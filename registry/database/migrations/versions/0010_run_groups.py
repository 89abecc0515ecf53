"""Groups of runs that try several settings."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column alone, because a table that others refer to cannot be rebuilt."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    text = "TEXT" if on_sqlite else 'TEXT COLLATE "C"'
    op.execute(f"ALTER TABLE runs ADD COLUMN group_id {text}")
    op.create_index(op.f("ix_runs_group_id"), "runs", ["group_id"])
