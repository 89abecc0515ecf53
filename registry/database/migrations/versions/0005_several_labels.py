"""Results of versions whose images can have several labels."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns one by one, because a table that others refer to cannot be rebuilt."""
    double = "REAL" if op.get_bind().dialect.name == "sqlite" else "DOUBLE PRECISION"
    for table, column in (
        ("evaluations", "mean_average_precision"),
        ("evaluations", "micro_f1"),
        ("class_metrics", "average_precision"),
    ):
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} {double}")
