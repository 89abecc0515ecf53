"""Alembic's environment, which works only on the connection that `registry.database.alembic_run` provides."""

from alembic import context

from registry.database.models import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
context.run_migrations()
