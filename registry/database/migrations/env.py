"""Alembic's environment: works only on the connection that `registry.alembic_run` hands over."""

from alembic import context

from registry.database.models import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
context.run_migrations()
