"""The schema that migrations build, as text; `python -m tests.registry.schema` renews the copies."""

import sys
import tempfile
from pathlib import Path

from sqlalchemy import Connection, text

from registry import Registry
from registry.database.db import open_engine
from tests.registry.postgres_server import running_server

SQLITE_COPY = Path(__file__).with_name("schema-sqlite.sql")
POSTGRES_COPY = Path(__file__).with_name("schema-postgresql.txt")

COLUMNS = """
SELECT table_name || '.' || column_name || ' ' || data_type
  || CASE WHEN collation_name IS NULL THEN '' ELSE ' collate ' || collation_name END
  || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END
  || CASE WHEN column_default IS NULL THEN '' ELSE ' default ' || column_default END
FROM information_schema.columns WHERE table_schema = current_schema()
ORDER BY table_name COLLATE "C", ordinal_position
"""
CONSTRAINTS = """
SELECT table_name || ' ' || lower(constraint_type) || ' ' || constraint_name
FROM information_schema.table_constraints
WHERE table_schema = current_schema() AND constraint_name NOT LIKE '%_not_null'
ORDER BY (table_name || ' ' || constraint_name) COLLATE "C"
"""
INDEXES = """
SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY indexname COLLATE "C"
"""
TRIGGERS = """
SELECT DISTINCT event_object_table || ' ' || lower(event_manipulation) || ' ' || trigger_name
  || ' ' || action_statement
FROM information_schema.triggers WHERE trigger_schema = current_schema() ORDER BY 1
"""
SQLITE = (
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type, name"
)


def schema_of(connection: Connection) -> str:
    """Return the schema of a database, one element per line, sorted."""
    if connection.dialect.name == "sqlite":
        # a single space wherever SQLAlchemy or Alembic break a line
        lines = [" ".join(one.split()) + ";" for one in connection.scalars(text(SQLITE))]
    else:
        lines = []
        for kind in (COLUMNS, CONSTRAINTS, INDEXES, TRIGGERS):
            lines += [*connection.scalars(text(kind)), ""]
    return "\n".join(lines).strip() + "\n"


def built_at(url: str, folder: Path) -> str:
    """Return the schema that the migrations build in a new database."""
    Registry.open(url, folder).close()
    engine = open_engine(url)
    with engine.connect() as connection:
        found = schema_of(connection)
    engine.dispose()
    return found


def main() -> None:
    """Rewrite both copies."""
    with tempfile.TemporaryDirectory() as folder, running_server() as server:
        SQLITE_COPY.write_text(built_at(f"sqlite:///{folder}/registry.db", Path(folder)), encoding="utf-8")
        POSTGRES_COPY.write_text(built_at(f"{server}/postgres", Path(folder)), encoding="utf-8")
    sys.stdout.write(f"{SQLITE_COPY}\n{POSTGRES_COPY}\n")


if __name__ == "__main__":
    main()
