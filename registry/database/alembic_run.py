"""Running Alembic's migrations without an alembic.ini."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from registry.database.migrations import FOLDER


def upgrade_to_head(connection: Connection) -> None:
    """Upgrade the database to the newest schema, in the transaction of the connection."""
    command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> Config:
    """Return the configuration with which Alembic's commands work on a connection."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
